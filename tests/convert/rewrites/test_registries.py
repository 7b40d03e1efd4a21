"""Sessions of a registry: a thread came back to its own, a task does not."""

from __future__ import annotations

from collections.abc import Callable

BEFORE = """
from contextlib import contextmanager
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

engine = create_engine("sqlite:///app.db")
Registry = scoped_session(sessionmaker(bind=engine))


def get_db():
    db = Registry()
    try:
        yield db
    finally:
        db.close()


def get_other_db():
    db = scoped_session(sessionmaker(bind=engine))
    try:
        yield db
    finally:
        db.close()


class Database:
    def __init__(self):
        self.registry = scoped_session(sessionmaker(bind=engine))

    @contextmanager
    def session(self):
        session: Session = self.registry()
        try:
            yield session
        except Exception:
            session.rollback()
            raise
        finally:
            session.close()
"""

AFTER = """
from asyncio import current_task
from contextlib import asynccontextmanager
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine

engine = create_async_engine("sqlite+aiosqlite:///app.db")
Registry = async_scoped_session(async_sessionmaker(bind=engine, expire_on_commit=False), scopefunc=current_task)


async def get_db():
    db = Registry()
    try:
        yield db
    finally:
        await Registry.remove()


async def get_other_db():
    db = async_scoped_session(async_sessionmaker(bind=engine, expire_on_commit=False), scopefunc=current_task)
    try:
        yield db
    finally:
        await db.remove()


class Database:
    def __init__(self):
        self.registry = async_scoped_session(async_sessionmaker(bind=engine, expire_on_commit=False), scopefunc=current_task)

    @asynccontextmanager
    async def session(self):
        session: AsyncSession = self.registry()
        try:
            yield session
        except Exception:
            await session.rollback()
            raise
        finally:
            await self.registry.remove()
"""  # noqa: E501 # as it is written


def test_what_closed_a_session_takes_it_out_of_its_registry(check_transformed: Callable[..., None]) -> None:
    """Else the registry would keep a session for every task that ever was."""
    check_transformed(BEFORE, AFTER)


def test_a_session_that_may_be_another_is_closed(check_transformed: Callable[..., None]) -> None:
    """Only what certainly comes from the registry is taken out of it."""
    check_transformed(
        """
        from sqlalchemy import create_engine
        from sqlalchemy.orm import scoped_session, sessionmaker

        engine = create_engine("sqlite:///app.db")
        Factory = sessionmaker(bind=engine)
        Registry = scoped_session(Factory)


        def work(own: bool):
            db = Factory() if own else Registry()
            db.commit()
            db.close()
        """,
        """
        from asyncio import current_task

        from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine

        engine = create_async_engine("sqlite+aiosqlite:///app.db")
        Factory = async_sessionmaker(bind=engine, expire_on_commit=False)
        Registry = async_scoped_session(Factory, scopefunc=current_task)


        async def work(own: bool):
            db = Factory() if own else Registry()
            await db.commit()
            await db.close()
        """,
    )
