"""Plain SQLAlchemy engines, none of the library's own, on each async driver."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from tests.guards.shop import Base, Customer, Findings, Order

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg", "mysql+asyncmy", "mysql+aiomysql")


async def stocked(engine: AsyncEngine) -> None:
    """Make the tables: 20 customers with two orders each."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Customer), [{"id": number} for number in range(1, 21)])
        await connection.execute(
            insert(Order), [{"id": number, "customer_id": (number + 1) // 2} for number in range(1, 41)]
        )


@pytest.fixture(params=DRIVERS)
async def any_engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    """An engine of each driver: 20 customers with two orders each."""
    name, _, _ = request.param.partition("+")
    url = make_url(request.getfixturevalue(f"{name}_url")).set(drivername=request.param)
    engine = create_async_engine(url)
    await stocked(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def engine(sqlite_url: str) -> AsyncIterator[AsyncEngine]:
    """The same on SQLite only, for what does not depend on the driver."""
    engine = create_async_engine(make_url(sqlite_url).set(drivername="sqlite+aiosqlite"))
    await stocked(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def findings() -> Findings:
    """Collects what the guards find."""
    return Findings()
