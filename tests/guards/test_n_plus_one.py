"""N+1: the same SELECT from the same line with other values; pages, polls, batches and helpers are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, selectinload
from tests.guards.shop import Base, Customer, Findings, Order

from sqlawait.exceptions import NPlusOne
from sqlawait.guards import Guards, Limits

Case = Callable[[AsyncSession], Awaitable[Any]]


async def get_in_a_loop(session: AsyncSession) -> None:
    for number in range(1, 11):
        await session.get(Customer, number)


async def select_in_a_loop(session: AsyncSession) -> None:
    for number in range(1, 11):
        await session.scalars(select(Order).where(Order.customer_id == number))


async def lazy_in_run_sync(session: AsyncSession) -> None:
    def touch(sync: Session) -> None:
        for customer in sync.scalars(select(Customer)):
            assert customer.orders

    await session.run_sync(touch)


async def refresh_in_a_loop(session: AsyncSession) -> None:
    for customer in (await session.scalars(select(Customer))).all():
        await session.refresh(customer, ["orders"])


async def sql_string_in_a_loop(session: AsyncSession) -> None:
    for number in range(1, 11):
        await session.execute(text("SELECT name FROM customers WHERE id = :id"), {"id": number})


async def gathered_sessions(session: AsyncSession) -> None:
    async def one(number: int) -> None:
        async with AsyncSession(session.bind) as own:
            await own.get(Customer, number)

    await asyncio.gather(*(one(number) for number in range(1, 11)))


async def helper_in_a_loop(session: AsyncSession) -> None:
    async def find(number: int) -> Customer | None:
        return await session.get(Customer, number)

    for number in range(1, 11):
        await find(number)


CAUGHT: dict[Case, str] = {
    get_in_a_loop: "select(Customer).where(Customer.id.in_(values))",
    select_in_a_loop: "select(Order).where(Order.customer_id.in_(values))",
    lazy_in_run_sync: ".options(selectinload(Customer.orders))",
    refresh_in_a_loop: ".options(selectinload(Customer.orders))",
    sql_string_in_a_loop: "where(column.in_(values))",
    gathered_sessions: "select(Customer).where(Customer.id.in_(values))",
    helper_in_a_loop: "select(Customer).where(Customer.id.in_(values))",
}


@pytest.mark.parametrize("case", CAUGHT, ids=lambda case: case.__name__)
async def test_caught_once_with_its_count_and_its_fix(
    any_engine: AsyncEngine, findings: Findings, case: Case
) -> None:
    """One finding for the whole loop, at its end, with the line, the count and the code to paste."""
    with Guards(observers=[findings]) as guards, guards.scope("GET /customers"):
        async with AsyncSession(any_engine) as session:
            await case(session)
    (finding,) = findings
    assert finding.guard == "n-plus-one"
    assert finding.count >= 10
    assert finding.seconds > 0
    assert CAUGHT[case] in finding.fix
    assert "in GET /customers" in finding.message
    assert finding.site is not None
    code: Any = case
    assert code.__code__.co_firstlineno < finding.site.line <= code.__code__.co_firstlineno + 5


async def test_a_lazy_relationship_names_the_select_to_change(engine: AsyncEngine, findings: Findings) -> None:
    """The option belongs to the select that loaded the parents, so that line is named."""
    with Guards(observers=[findings]) as guards, guards.scope("a job"):
        async with AsyncSession(engine) as session:
            await lazy_in_run_sync(session)
    assert "relationship Customer.orders, loaded lazily" in findings[0].message
    assert findings[0].related["loaded"].function == "touch"


async def test_raises_at_the_threshold(engine: AsyncEngine) -> None:
    """A guard that raises stops the loop in the statement that is one too many."""
    with Guards(n_plus_one="raise", limits=Limits(repeats=3)) as guards:
        async with AsyncSession(engine) as session:
            with guards.scope("a test") as scope, pytest.raises(NPlusOne, match="ran 3 times"):
                await get_in_a_loop(session)
    assert scope.statements == 2


async def below_the_threshold(session: AsyncSession) -> None:
    for number in range(1, 5):
        await session.get(Customer, number)


async def eager_load_in_batches(session: AsyncSession) -> None:
    await session.execute(insert(Customer), [{"id": number} for number in range(1_000, 4_500)])
    await session.scalars(select(Customer).options(selectinload(Customer.orders)))


async def same_values(session: AsyncSession) -> None:
    for _ in range(20):
        await session.scalars(select(Order).where(Order.customer_id == 1))


async def keyset_pages(session: AsyncSession) -> None:
    last = 0
    while True:
        rows = (await session.scalars(select(Order).where(Order.id > last).order_by(Order.id).limit(4))).all()
        if not rows:
            return
        last = rows[-1].id


async def offset_pages(session: AsyncSession) -> None:
    for page in range(8):
        await session.scalars(select(Order).order_by(Order.id).limit(4).offset(4 * page))


async def a_helper_called_from_many_lines(session: AsyncSession) -> None:
    async def find(number: int) -> Customer | None:
        return await session.get(Customer, number)

    await find(1)
    await find(2)
    await find(3)
    await find(4)
    await find(5)
    await find(6)


async def many_inserts(session: AsyncSession) -> None:
    for number in range(200, 220):
        session.add(Customer(id=number))
        await session.flush()


async def executemany(session: AsyncSession) -> None:
    await session.execute(insert(Customer), [{"id": number} for number in range(300, 320)])


async def from_the_identity_map(session: AsyncSession) -> None:
    kept = (await session.scalars(select(Customer))).all()
    for customer in kept:
        assert await session.get(Customer, customer.id) is customer


SILENT = [
    below_the_threshold,
    eager_load_in_batches,
    same_values,
    keyset_pages,
    offset_pages,
    a_helper_called_from_many_lines,
    many_inserts,
    executemany,
    from_the_identity_map,
]


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.__name__)
async def test_silent(any_engine: AsyncEngine, findings: Findings, case: Case) -> None:
    """What looks like a loop of selects and is not."""
    with Guards(n_plus_one="raise", observers=[findings]) as guards, guards.scope("a job"):
        async with AsyncSession(any_engine, expire_on_commit=False) as session:
            await case(session)
    assert findings == []


async def test_requests_do_not_add_up(engine: AsyncEngine, findings: Findings) -> None:
    """Many requests that each run the statement once are many good requests."""
    with Guards(n_plus_one="raise", observers=[findings]) as guards:

        async def request(number: int) -> None:
            with guards.scope("GET /customers/{id}"):
                async with AsyncSession(engine) as session:
                    await session.get(Customer, number)

        await asyncio.gather(*(request(number) for number in range(1, 21)))
    assert findings == []


def test_sync_routes_are_watched_too(sqlite_url: str, findings: Findings) -> None:
    """A lazy loop in a blocking session is the classic case, and found as well."""
    from sqlalchemy import create_engine

    engine = create_engine(make_url(sqlite_url))
    Base.metadata.create_all(engine)
    with Guards(observers=[findings]) as guards, Session(engine) as session:
        session.add_all(Customer(id=number, orders=[Order(id=number)]) for number in range(1, 8))
        session.commit()
        with guards.scope("GET /customers"):
            for customer in session.scalars(select(Customer)):
                assert customer.orders
            session.close()
    engine.dispose()
    assert [finding.count for finding in findings] == [7]
