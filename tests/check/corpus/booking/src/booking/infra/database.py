from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, sessionmaker


class Base(DeclarativeBase):
    """The base of all tables."""


class DatabaseManager:
    """Starts and stops with the application."""

    def __init__(self) -> None:
        self._engine: AsyncEngine | None = None
        self._sessions: async_sessionmaker[AsyncSession] | None = None

    def start(self, url: str) -> None:
        self._engine = create_async_engine(url)  # ok: SAW407
        self._sessions = async_sessionmaker(self._engine, autoflush=False)  # expect: SAW304

    async def stop(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        assert self._sessions is not None
        async with self._sessions() as session:  # ok: SAW403
            try:
                yield session
            except Exception:
                await session.rollback()
                raise


manager = DatabaseManager()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with manager.session() as session:
        yield session


def default_url() -> str:
    return os.getenv("BOOKING_URL", "postgresql+asyncpg://booking@localhost/booking")


def build_sessions(url: str | None = None):
    engine = create_async_engine(url or default_url())  # ok: SAW204
    return sessionmaker(bind=engine, class_=AsyncSession, autoflush=False)  # expect: SAW304


class Keeping:
    """A factory in a class attribute."""

    engine = create_async_engine(default_url())  # ok: SAW204
    sessions = async_sessionmaker(bind=engine, expire_on_commit=False)  # ok: SAW304


async def get_kept() -> AsyncIterator[AsyncSession]:
    async with Keeping.sessions() as session:
        yield session


async def get_kept_and_commit() -> AsyncIterator[AsyncSession]:
    session = Keeping.sessions()  # ok: SAW403
    try:
        yield session
    except BaseException:
        await session.rollback()
        raise
    else:
        await session.commit()  # expect: SAW408
    finally:
        await session.close()


async def get_kept_in_block() -> AsyncIterator[AsyncSession]:
    async with Keeping.sessions.begin() as session:  # expect: SAW408
        yield session


async def get_kept_early() -> AsyncIterator[AsyncSession]:
    async with Keeping.sessions.begin() as session:  # ok: SAW408
        yield session


class CommitOnExit:
    """A dependency that is an object."""

    def __init__(self, commit: bool = True) -> None:
        self.commit = commit

    async def __call__(self) -> AsyncIterator[AsyncSession]:
        async with Keeping.sessions() as session:
            yield session
            if self.commit:
                await session.commit()  # expect: SAW408
