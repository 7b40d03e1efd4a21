"""The ways in which an engine reaches the functions that use it without being made at the top of a module."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from fastapi import FastAPI, Request
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker


def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {"postgresql": "psycopg", "sqlite": "aiosqlite", "mysql": "asyncmy", "mariadb": "asyncmy"}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


# A function gives both.
def connect(url: str):
    engine = create_async_engine(async_url(url), pool_pre_ping=True)
    factory = async_sessionmaker(bind=engine, autoflush=False, expire_on_commit=False)
    return factory, engine


def connect_sync(url: str):
    engine = create_engine(url, pool_pre_ping=True)
    factory = sessionmaker(bind=engine, autoflush=False)
    return factory, engine


SessionLocal, engine = connect(os.environ["DATABASE_URL"])
SyncSessionLocal, sync_engine = connect_sync(os.environ["DATABASE_URL"])


async def from_tuple():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


# An object of a class keeps them.
class Database:
    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(async_url(url))
        self._factory = async_sessionmaker(bind=self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        session = self._factory()
        try:
            yield session
        except Exception:
            await session.rollback()
            raise
        finally:
            await session.close()


database = Database(os.environ["DATABASE_URL"])


async def from_object() -> AsyncIterator[AsyncSession]:
    async with database.session() as session:
        yield session


# Functions that are called once.
@lru_cache
def get_engine() -> AsyncEngine:
    return create_async_engine(async_url(os.environ["DATABASE_URL"]))


@lru_cache(maxsize=1)
def get_factory() -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(bind=get_engine(), expire_on_commit=False)


async def from_cache():
    async with get_factory()() as db:
        yield db


# Globals that a function fills, for the routes and for a task.
late_engine = None
sync_late_engine = None
LateSession = None
SyncLateSession = None


def start() -> None:
    global late_engine, LateSession, sync_late_engine, SyncLateSession
    late_engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
    sync_late_engine = create_engine(os.environ["DATABASE_URL"])
    LateSession = async_sessionmaker(bind=late_engine, expire_on_commit=False)
    SyncLateSession = sessionmaker(bind=sync_late_engine)


start()


async def from_global():
    db = LateSession()
    try:
        yield db
    finally:
        await db.close()


# A function that keeps it and gives it, to both kinds of code.
kept_engine = None
sync_kept_engine = None


def size() -> int:
    return kept_engine.pool.size() if kept_engine else 0


def get_kept_engine(url: str, reuse: bool = True) -> AsyncEngine:
    global kept_engine
    if not kept_engine or not reuse:
        kept_engine = create_async_engine(async_url(url), pool_size=3)
    return kept_engine


def get_kept_engine_sync(url: str, reuse: bool = True) -> Engine:
    global sync_kept_engine
    if not sync_kept_engine or not reuse:
        sync_kept_engine = create_engine(url, pool_size=3)
    return sync_kept_engine


def make_session(url: str) -> AsyncSession:
    return async_sessionmaker(bind=get_kept_engine(url), expire_on_commit=False)()


def make_session_sync(url: str) -> Session:
    return sessionmaker(bind=get_kept_engine_sync(url))()


async def from_kept():
    db = make_session(os.environ["DATABASE_URL"])
    try:
        yield db
    finally:
        await db.close()


# The state of the application.
def install(app: FastAPI) -> None:
    app.state.engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
    app.state.factory = async_sessionmaker(bind=app.state.engine, expire_on_commit=False)


async def from_state(request: Request):
    session = request.app.state.factory()
    try:
        yield session
    finally:
        await session.close()
