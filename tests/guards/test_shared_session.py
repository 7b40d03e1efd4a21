"""Two tasks in one session at the same time are caught on every driver; handing a session over is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from tests.guards.shop import Customer, Findings, Order

from sqlawait.exceptions import SharedSession
from sqlawait.guards import Guards

Case = Callable[[AsyncSession], Awaitable[Any]]


async def together(*calls: Awaitable[Any]) -> None:
    """All at once; the first error once all have ended."""
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def gathered_statements(session: AsyncSession) -> None:
    await together(session.scalars(select(Customer)), session.scalars(select(Order)))


async def gathered_when_connected(session: AsyncSession) -> None:
    await session.connection()
    await together(session.get(Customer, 1), session.get(Order, 1))


async def commit_beside_a_statement(session: AsyncSession) -> None:
    await together(session.scalars(select(Customer)), session.commit())


async def gathered_helpers(session: AsyncSession) -> None:
    async def customers() -> Any:
        return await session.scalars(select(Customer))

    async def orders() -> Any:
        return await session.scalars(select(Order))

    await together(customers(), orders())


async def task_group(session: AsyncSession) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(session.get(Customer, 1))
        group.create_task(session.get(Customer, 2))


async def run_sync_beside_a_statement(session: AsyncSession) -> None:
    await together(session.run_sync(lambda sync: sync.get(Customer, 1)), session.get(Customer, 2))


CAUGHT = [
    gathered_statements,
    gathered_when_connected,
    commit_beside_a_statement,
    gathered_helpers,
    task_group,
    run_sync_beside_a_statement,
]


@pytest.mark.parametrize("case", CAUGHT, ids=lambda case: case.__name__)
async def test_caught_with_both_lines(any_engine: AsyncEngine, findings: Findings, case: Case) -> None:
    """The second task is refused before it does anything, and both lines are named."""
    with Guards(shared_session="raise", observers=[findings]):
        async with AsyncSession(any_engine) as session:
            with pytest.raises((SharedSession, BaseExceptionGroup)) as caught:
                await case(session)
    error = caught.value.exceptions[0] if isinstance(caught.value, BaseExceptionGroup) else caught.value
    assert isinstance(error, SharedSession)
    assert isinstance(error, InvalidRequestError)
    assert "session.parallel" in error.finding.message
    (finding,) = findings
    code: Any = case
    lines = range(code.__code__.co_firstlineno, code.__code__.co_firstlineno + 9)
    assert finding.site is not None
    assert finding.site.line in lines
    assert finding.related["in use"].line in lines


async def test_a_guard_that_logs_lets_it_happen(engine: AsyncEngine, findings: Findings) -> None:
    """On SQLite nothing else would tell: the statements run one after the other."""
    with Guards(observers=[findings]):
        async with AsyncSession(engine) as session:
            await gathered_when_connected(session)
    assert [finding.guard for finding in findings] == ["shared-session"]


async def one_after_the_other(session: AsyncSession) -> None:
    for number in (1, 2):
        await asyncio.create_task(session.get(Customer, number))


async def handed_over(session: AsyncSession) -> None:
    await session.get(Customer, 1)
    await asyncio.create_task(session.get(Order, 1))
    await session.commit()


async def sessions_of_their_own(session: AsyncSession) -> None:
    async def one(number: int) -> None:
        async with AsyncSession(session.bind) as own:
            await own.get(Customer, number)

    await asyncio.gather(*(one(number) for number in range(1, 6)))


async def methods_that_call_methods(session: AsyncSession) -> None:
    async with session.begin():
        session.add(Customer(id=200))
        await session.flush()
        await session.refresh(await session.get_one(Customer, 200), ["orders"])
    async with session.begin_nested():
        await session.scalar(select(Customer.id))


async def a_cancelled_task(session: AsyncSession) -> None:
    task = asyncio.create_task(session.scalars(select(Customer)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await session.rollback()
    await session.get(Customer, 1)


async def statements_while_streaming(session: AsyncSession) -> None:
    async for customer in await session.stream_scalars(select(Customer).order_by(Customer.id)):
        assert customer.id


SILENT = [
    one_after_the_other,
    handed_over,
    sessions_of_their_own,
    methods_that_call_methods,
    statements_while_streaming,
]


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.__name__)
async def test_silent(any_engine: AsyncEngine, findings: Findings, case: Case) -> None:
    """One task at a time, whichever task it is."""
    with Guards(shared_session="raise", observers=[findings]):
        async with AsyncSession(any_engine) as session:
            await case(session)
    assert findings == []


async def test_silent_after_a_cancelled_task(postgresql_url: str, findings: Findings) -> None:
    """A task that was cancelled in the middle of an operation does not hold the session for ever."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from tests.guards.conftest import stocked

    engine = create_async_engine(postgresql_url.replace("postgresql:", "postgresql+asyncpg:"))
    await stocked(engine)
    with Guards(shared_session="raise", observers=[findings]):
        async with AsyncSession(engine) as session:
            await a_cancelled_task(session)
    await engine.dispose()
    assert findings == []
