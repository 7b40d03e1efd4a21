from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine("sqlite:///channels.db")
SessionLocal = sessionmaker(engine)


def new_session() -> Session:
    return SessionLocal()


@contextmanager
def session_scope():
    db = new_session()
    try:
        yield db
    finally:
        db.close()


def get_db():
    db = new_session()
    try:
        yield db
    finally:
        db.close()
