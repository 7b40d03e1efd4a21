from collections.abc import AsyncGenerator, Generator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel import Session, SQLModel, create_engine
from sqlmodel.ext.asyncio.session import AsyncSession

sync_engine = create_engine("postgresql://clinic@localhost/clinic")
async_engine = create_async_engine("postgresql+asyncpg://clinic@localhost/clinic")
AsyncSessionLocal = async_sessionmaker(async_engine, class_=AsyncSession, expire_on_commit=False)  # ok: SAW304


def get_session() -> Generator[Session, None, None]:
    with Session(sync_engine) as session:  # ok: SAW403
        yield session


async def get_async_session() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSessionLocal() as session:
        yield session


async def get_expiring_session() -> AsyncGenerator[AsyncSession, None]:
    async with AsyncSession(async_engine) as session:  # also: SAW304
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
AsyncSessionDep = Annotated[AsyncSession, Depends(get_async_session)]
ExpiringDep = Annotated[AsyncSession, Depends(get_expiring_session)]


def init() -> None:
    SQLModel.metadata.create_all(sync_engine)  # ok: SAW206


async def init_async() -> None:
    async with async_engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)  # ok: SAW206


async def init_wrong() -> None:
    async with async_engine.begin() as connection:
        SQLModel.metadata.create_all(connection)  # expect: SAW206
