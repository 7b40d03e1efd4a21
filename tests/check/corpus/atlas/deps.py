from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from .engines import right_asyncpg
from .sessions import NewStyle, SyncMaker


async def get_session():
    async with NewStyle() as session:
        yield session


def get_sync_session():
    with SyncMaker() as session:
        yield session


async def get_connection():
    async with right_asyncpg.connect() as connection:
        yield connection


Db = Annotated[AsyncSession, Depends(get_session)]
