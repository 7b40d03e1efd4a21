"""Every way of holding a session."""

from asyncio import current_task
from contextlib import asynccontextmanager, closing, contextmanager
from contextvars import ContextVar

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from .config import get_settings

engine = create_async_engine(get_settings().database_url)  # ok: SAW407
sync_engine = create_engine(get_settings().sync_database_url)  # ok: SAW407
factory = async_sessionmaker(engine, expire_on_commit=False)
SyncFactory = sessionmaker(sync_engine)

request_id: ContextVar[str] = ContextVar("request_id", default="-")
current_session: ContextVar[AsyncSession] = ContextVar("current_session")

# Sessions of the whole process
session = factory()  # expect: SAW405 # also: SAW403
db = AsyncSession(engine, expire_on_commit=False)  # expect: SAW405 # also: SAW403
TaskSession = async_scoped_session(factory, scopefunc=current_task)  # expect: SAW405
TaskSessionPositional = async_scoped_session(factory, current_task)  # expect: SAW405
RequestSession = async_scoped_session(factory, scopefunc=request_id.get)  # ok: SAW405
ThreadSession = scoped_session(SyncFactory)  # ok: SAW405


def get_current_session() -> AsyncSession:
    return current_session.get()  # ok: SAW403


@asynccontextmanager
async def session_scope():
    async with factory() as own:  # ok: SAW403
        token = current_session.set(own)
        try:
            yield own
            await own.commit()  # ok: SAW408
        finally:
            current_session.reset(token)


@contextmanager
def sync_scope():
    own = SyncFactory()  # ok: SAW403
    try:
        yield own
        own.commit()
    except Exception:
        own.rollback()
        raise
    finally:
        own.close()


async def get_session():
    async with factory() as own:
        yield own


async def get_unclosed():
    return factory()  # expect: SAW403


async def get_unclosed_generator():
    own = factory()  # expect: SAW403
    yield own


def get_sync_unclosed() -> Session:
    own = SyncFactory()  # expect: SAW403
    return own


def get_sync():
    own = SyncFactory()  # ok: SAW403
    try:
        yield own
    finally:
        own.close()


def make_session() -> AsyncSession:
    return factory()  # ok: SAW403


class Store:
    """A class with one session for everybody."""

    session = factory()  # expect: SAW405 # also: SAW403

    @classmethod
    async def save(cls, row) -> None:
        cls.session.add(row)
        await cls.session.commit()


class Holder:
    """Made once for each request."""

    def __init__(self) -> None:
        self.session = factory()  # ok: SAW403, SAW405

    async def __aenter__(self) -> "Holder":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()


_shared: AsyncSession | None = None


async def get_shared() -> AsyncSession:
    global _shared
    if _shared is None:
        _shared = factory()  # expect: SAW405 # also: SAW403
    return _shared


_engines: dict[str, object] = {}


def tenant_engine(tenant: str):
    if tenant not in _engines:
        _engines[tenant] = create_async_engine(get_settings().tenant_url.format(tenant=tenant))  # ok: SAW407
    return _engines[tenant]


def count_rows(statement) -> int:
    with closing(SyncFactory()) as own:  # ok: SAW403
        return own.scalar(statement)
