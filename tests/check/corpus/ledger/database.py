from contextlib import asynccontextmanager
from typing import Annotated, AsyncGenerator

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

engine = create_async_engine("postgresql://ledger@db/ledger")  # ok: SAW204
read_engine = create_async_engine("postgresql+psycopg://ledger@replica/ledger")  # ok: SAW204

Session = async_sessionmaker(engine)  # expect: SAW304
KeepSession = async_sessionmaker(bind=engine, autoflush=False, expire_on_commit=False)  # ok: SAW304
ReadSession = async_sessionmaker(read_engine, class_=AsyncSession)  # expect: SAW304


class Base(AsyncAttrs, DeclarativeBase):
    pass


async def get_session() -> AsyncGenerator[AsyncSession, None]:
    """Expires on commit."""
    async with Session() as session:
        yield session


async def get_keeping_session() -> AsyncGenerator[AsyncSession, None]:
    async with KeepSession() as session:
        yield session


async def get_committing_session() -> AsyncGenerator[AsyncSession, None]:
    async with KeepSession() as session:
        try:
            yield session
            await session.commit()  # expect: SAW408
        except Exception:
            await session.rollback()
            raise


async def get_begun_session():
    async with KeepSession() as session, session.begin():  # expect: SAW408
        yield session


async def get_unit() -> AsyncGenerator[AsyncSession, None]:
    async with KeepSession() as session:
        yield session
        await session.commit()  # ok: SAW408


async def get_audited(session: Annotated[AsyncSession, Depends(get_keeping_session)]):
    yield session
    if session.dirty or session.new:
        await session.commit()  # expect: SAW408


@asynccontextmanager
async def unit_of_work() -> AsyncGenerator[AsyncSession, None]:
    """For scripts and workers."""
    async with KeepSession() as session:
        yield session
        await session.commit()  # ok: SAW408


@asynccontextmanager
async def transaction() -> AsyncGenerator[AsyncSession, None]:
    async with KeepSession.begin() as session:  # ok: SAW408
        yield session


Expiring = Annotated[AsyncSession, Depends(get_session)]
Keeping = Annotated[AsyncSession, Depends(get_keeping_session)]
Committing = Annotated[AsyncSession, Depends(get_committing_session)]
Begun = Annotated[AsyncSession, Depends(get_begun_session)]
Unit = Annotated[AsyncSession, Depends(get_unit, scope="function")]
Audited = Annotated[AsyncSession, Depends(get_audited)]
