"""The ways in which an engine reaches the functions that use it without being made at the top of a module."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from fastapi import FastAPI, Request
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker


# A function gives both.
def connect(url: str):
    engine = create_engine(url, pool_pre_ping=True)
    factory = sessionmaker(bind=engine, autoflush=False)
    return factory, engine


SessionLocal, engine = connect(os.environ["DATABASE_URL"])


def from_tuple():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


# An object of a class keeps them.
class Database:
    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self._factory = sessionmaker(bind=self.engine)

    @contextmanager
    def session(self) -> Iterator[Session]:
        session = self._factory()
        try:
            yield session
        except Exception:
            session.rollback()
            raise
        finally:
            session.close()


database = Database(os.environ["DATABASE_URL"])


def from_object() -> Iterator[Session]:
    with database.session() as session:
        yield session


# Functions that are called once.
@lru_cache
def get_engine() -> Engine:
    return create_engine(os.environ["DATABASE_URL"])


@lru_cache(maxsize=1)
def get_factory() -> sessionmaker[Session]:
    return sessionmaker(bind=get_engine())


def from_cache():
    with get_factory()() as db:
        yield db


# Globals that a function fills, for the routes and for a task.
late_engine = None
LateSession = None


def start() -> None:
    global late_engine, LateSession
    late_engine = create_engine(os.environ["DATABASE_URL"])
    LateSession = sessionmaker(bind=late_engine)


start()


def from_global():
    db = LateSession()
    try:
        yield db
    finally:
        db.close()


# A function that keeps it and gives it, to both kinds of code.
kept_engine = None


def size() -> int:
    return kept_engine.pool.size() if kept_engine else 0


def get_kept_engine(url: str, reuse: bool = True) -> Engine:
    global kept_engine
    if not kept_engine or not reuse:
        kept_engine = create_engine(url, pool_size=3)
    return kept_engine


def make_session(url: str) -> Session:
    return sessionmaker(bind=get_kept_engine(url))()


def from_kept():
    db = make_session(os.environ["DATABASE_URL"])
    try:
        yield db
    finally:
        db.close()


# The state of the application.
def install(app: FastAPI) -> None:
    app.state.engine = create_engine(os.environ["DATABASE_URL"])
    app.state.factory = sessionmaker(bind=app.state.engine)


def from_state(request: Request):
    session = request.app.state.factory()
    try:
        yield session
    finally:
        session.close()
