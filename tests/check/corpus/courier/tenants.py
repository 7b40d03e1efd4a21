"""Engines made in helpers."""

from functools import cache, cached_property

from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from .config import get_settings
from .models import Depot


def make_engine(tenant: str):
    return create_async_engine(get_settings().tenant_url.format(tenant=tenant), pool_size=1)  # expect: SAW407


async def depot_count(tenant: str) -> int:
    engine = make_engine(tenant)
    async with AsyncSession(engine, expire_on_commit=False) as session:
        return await session.scalar(select(func.count(Depot.id))) or 0


def per_call_session(tenant: str) -> AsyncSession:
    return AsyncSession(_engine_of(tenant), expire_on_commit=False)  # ok: SAW403, SAW304


def _engine_of(tenant: str):
    url = get_settings().tenant_url.format(tenant=tenant)
    return create_async_engine(url)  # expect: SAW407


@cache
def warehouse_engine():
    return create_engine(get_settings().sync_database_url)  # ok: SAW407


class Registry:
    @cached_property
    def engine(self):
        return create_async_engine(get_settings().database_url)  # ok: SAW407


class Reports:
    """Made for each request by its dependency."""

    def __init__(self) -> None:
        self.engine = create_async_engine(get_settings().database_url)  # expect: SAW407

    async def total(self) -> int:
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            return await session.scalar(select(func.count(Depot.id))) or 0
