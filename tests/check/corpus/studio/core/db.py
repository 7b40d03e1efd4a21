from functools import wraps

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker

engine = create_engine("postgresql+psycopg2://studio@localhost/studio")
SessionLocal = sessionmaker(bind=engine)


class Base(DeclarativeBase):
    pass


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def with_session(function):
    """Opens a session and gives it to a sync function."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        with SessionLocal() as session:
            return function(session, *args, **kwargs)

    return wrapper


def transactional(function):
    @wraps(function)
    def wrapper(self, *args, **kwargs):
        try:
            result = function(self, *args, **kwargs)
            self.db.commit()
            return result
        except Exception:
            self.db.rollback()
            raise

    return wrapper
