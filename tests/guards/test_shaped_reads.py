"""Under guards a shaped read keeps its short way to the driver, and is seen on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel
from sqlalchemy import event, insert, select, text
from tests.guards.shop import Base, Customer, Findings

from sqlawait import Database
from sqlawait.events import StatementRan
from sqlawait.exceptions import NPlusOne
from sqlawait.guards import Guards, Limits
from sqlawait.guards.held import held_now, waiting_now


class CustomerOut(BaseModel):
    id: int
    name: str


class Seen(list[StatementRan]):
    """An observer that keeps the statements."""

    def __call__(self, event: object) -> None:
        if isinstance(event, StatementRan):
            self.append(event)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Database]:
    """Twenty customers, in a Database of the library's own."""
    async with Database(url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        async with db.engine.begin() as connection:
            await connection.execute(insert(Customer), [{"id": number} for number in range(1, 21)])
        yield db


async def test_it_is_seen_as_any_other_statement(shop: Database) -> None:
    """The observers get its SQL, its line, its rows and its time."""
    seen = Seen()
    with Guards.production(observers=[seen]) as guards, guards.scope("GET /customers") as scope:
        async with shop.reader() as session:
            await session.json_one(Customer, CustomerOut, id=1)
    statement = next(one for one in seen if "customers" in one.sql)
    assert statement.request == scope.id
    assert statement.site is not None
    assert statement.site.function == "test_it_is_seen_as_any_other_statement"
    assert statement.rows == 1
    assert 0 < statement.seconds <= scope.database
    assert statement.parameters is None
    assert held_now() == waiting_now() == []


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
async def test_it_goes_to_the_driver_itself(name: str, request: pytest.FixtureRequest) -> None:
    """With every guard logging no transaction is begun for it, as without any."""
    begun: list[object] = []
    async with Database(request.getfixturevalue(f"{name}_url")) as db:
        await db.create_all(Base.metadata)
        async with db.reader() as session:
            await session.json_all(Customer, CustomerOut)  # the first one looks which server it is
        event.listen(db.engine.sync_engine, "begin", begun.append)
        seen = Seen()
        with Guards.production(observers=[seen]) as guards, guards.scope("GET /customers"):
            async with db.reader() as session:
                await session.json_all(Customer, CustomerOut)
    assert begun == []
    assert [one.rows for one in seen if "customers" in one.sql] == [1]


async def test_a_loop_of_them_is_an_n_plus_one(shop: Database, findings: Findings) -> None:
    """The fix names the select that reads them all at once."""
    with Guards.production(observers=[findings]) as guards, guards.scope("GET /customers"):
        async with shop.reader() as session:
            for number in range(1, 11):
                await session.json_one(Customer, CustomerOut, id=number)
    (finding,) = findings
    assert finding.guard == "n-plus-one"
    assert finding.count == 10
    assert finding.seconds > 0
    assert "select(Customer).where(Customer.id.in_(values))" in finding.fix


async def test_a_guard_that_raises_stops_the_loop(shop: Database) -> None:
    """Before the statement takes a connection."""
    seen = Seen()
    with (
        Guards(n_plus_one="raise", limits=Limits(repeats=3), observers=[seen]) as guards,
        guards.scope("GET /customers"),
        pytest.raises(NPlusOne, match="ran 3 times"),
    ):
        async with shop.reader() as session:
            for number in range(1, 11):
                await session.json_one(Customer, CustomerOut, id=number)
    assert len([one for one in seen if "customers" in one.sql]) == 2
    assert held_now() == waiting_now() == []


async def test_one_that_fails_is_seen_with_its_error(shop: Database) -> None:
    """Its connection is given back all the same."""
    seen = Seen()
    with Guards.production(observers=[seen]) as guards, guards.scope("GET /customers"):
        async with shop.reader() as session:
            with pytest.raises(Exception, match="nothing_here"):
                await session.json_all(select(Customer).where(text("nothing_here = 1")), CustomerOut)
    assert seen[-1].error is not None
    assert seen[-1].rows is None
    assert held_now() == waiting_now() == []


async def test_its_wait_for_a_connection_is_counted(shop: Database, findings: Findings) -> None:
    """The time in the pool's line is not the database's."""
    with Guards.production(observers=[findings]) as guards, guards.scope("GET /customers") as scope:
        async with shop.reader() as holder:
            await holder.connection()
            async with shop.reader() as session:
                read = asyncio.create_task(session.json_one(Customer, CustomerOut, id=1))
                while not waiting_now():  # noqa: ASYNC110 # to stand in the line is no event
                    await asyncio.sleep(0)
                waited = scope.waited
                await holder.close()
                await read
    assert scope.waited > waited
    assert findings == []
