"""Factories of every kind."""

from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from .engines import right_asyncpg, right_sqlite, sync_right

engine = right_asyncpg
test_engine = create_async_engine("sqlite+aiosqlite://")

WrongMaker = sessionmaker(engine)  # expect: SAW205
WrongBind = sessionmaker(bind=engine, autoflush=False)  # expect: SAW205
WrongAliased = sessionmaker(bind=right_sqlite, expire_on_commit=False)  # expect: SAW205
WrongTest = sessionmaker(test_engine, class_=Session)  # expect: SAW205

OldStyle = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)  # ok: SAW205, SAW304
OldStyleExpiring = sessionmaker(bind=engine, class_=AsyncSession)  # expect: SAW304 # ok: SAW205
NewStyle = async_sessionmaker(engine, expire_on_commit=False)  # ok: SAW205, SAW304
NewStyleExpiring = async_sessionmaker(engine, autoflush=False)  # expect: SAW304
Late = async_sessionmaker(expire_on_commit=False)  # ok: SAW304
Late.configure(bind=engine)

SyncMaker = sessionmaker(sync_right)  # ok: SAW205, SAW304
SyncScoped = scoped_session(sessionmaker(bind=sync_right))  # ok: SAW205, SAW304, SAW405
SyncOfAsync = sessionmaker(bind=engine.sync_engine)  # ok: SAW205, SAW304

options = {"expire_on_commit": False, "autoflush": False}
FromOptions = async_sessionmaker(engine, **options)  # ok: SAW304

make_session = partial(AsyncSession, engine, expire_on_commit=False)  # ok: SAW304


def make_factory(bind):
    return async_sessionmaker(bind, expire_on_commit=False)  # ok: SAW304


def make_expiring_factory(bind):
    return async_sessionmaker(bind=bind)  # expect: SAW304


class Database:
    """An engine and its factory as attributes."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(url)
        self.factory = sessionmaker(self.engine, autocommit=False)  # expect: SAW205
        self.sessions = async_sessionmaker(self.engine)  # expect: SAW304
        self.keeping = async_sessionmaker(self.engine, expire_on_commit=False)  # ok: SAW304


def from_engine(bind):
    return sessionmaker(bind=create_async_engine(bind), autoflush=False)  # expect: SAW205


def build(url: str):
    own = create_async_engine(url)
    factory = sessionmaker(own, expire_on_commit=True)  # expect: SAW205
    return own, factory


def get_engine():
    return engine


FromHelper = sessionmaker(get_engine())  # expect: SAW205
