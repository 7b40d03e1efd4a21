"""Sessions that nobody injects: in a ``with``, by hand with close, by ``next(get_db())``."""

import os
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI, HTTPException
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(bind=engine)


class Base(DeclarativeBase):
    pass


class Setting(Base):
    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


@asynccontextmanager
async def lifespan(app: FastAPI):
    Base.metadata.create_all(bind=engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    yield
    engine.dispose()


app = FastAPI(lifespan=lifespan)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@contextmanager
def session_scope():
    """A transaction around a few statements."""
    session = SessionLocal()
    try:
        yield session
        session.commit()
    except:
        session.rollback()
        raise
    finally:
        session.close()


@app.get("/settings/{key}")
def read(key: str):
    with SessionLocal() as db:
        setting = db.get(Setting, key)
        if setting is None:
            raise HTTPException(404)
        return setting.value


@app.put("/settings/{key}")
def write(key: str, value: str):
    with SessionLocal.begin() as db:
        db.merge(Setting(key=key, value=value))
    return {"key": key, "value": value}


@app.post("/settings/{key}")
def add(key: str, value: str):
    try:
        with session_scope() as session:
            session.add(Setting(key=key, value=value))
    except IntegrityError:
        raise HTTPException(409) from None
    return {"key": key, "value": value}


@app.get("/settings")
def keys():
    db = next(get_db())
    return [setting.key for setting in db.query(Setting).order_by(Setting.key).all()]


@app.delete("/settings")
def clear():
    session = Session(engine)
    try:
        deleted = session.query(Setting).delete()
        session.commit()
    finally:
        session.close()
    return deleted


@app.get("/health")
def health():
    with engine.begin() as connection:
        return connection.execute(text("SELECT 1")).scalar()
