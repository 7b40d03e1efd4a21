from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

engine: AsyncEngine = create_async_engine("postgresql+asyncpg://press@localhost/press")
SessionMaker: async_sessionmaker[AsyncSession] = async_sessionmaker(engine, expire_on_commit=False)

sync_engine = create_engine("postgresql+psycopg2://press@localhost/press")
SyncSessionMaker: sessionmaker[Session] = sessionmaker(sync_engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with SessionMaker() as session:
        yield session


def get_sync_session() -> Iterator[Session]:
    with SyncSessionMaker() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
FunctionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
SyncSessionDep = Annotated[Session, Depends(get_sync_session)]
