"""Sessions against a dict: whatever is begun, failed, cancelled, undone or committed, both say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import create_async_engine

from models import Base, Counter
from promises.effort import LONG
from promises.sweep import step
from sqlawait import AsyncSession, Database
from sqlawait.exceptions import NotFound

KEYS = st.integers(1, 4)
VALUES = st.integers(0, 100)
CONFLICT = {
    "postgresql": "DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$",
    "mysql": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213",
}
"""Has the server itself say that a transaction has to be run again."""


class Sessions(RuleBasedStateMachine):
    """One session at a time; ``stored`` is what the database must hold, ``seen`` what the session must see."""

    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.db = self.run(self.begin_anew())
        self.stored: dict[int, int] = {}
        self.seen: dict[int, int] = {}
        self.session: Any = None
        self.savepoints: list[tuple[Any, dict[int, int]]] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def begin_anew(self) -> Database:
        db = Database(self.url, pool_size=2, threads=1)
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.execute(delete(Counter))
        return db

    def open_session(self) -> Any:
        return self.db.session()

    def teardown(self) -> None:
        self.end()
        self.run(self.db.close())
        self.runner.close()

    # -- one session

    def end(self) -> None:
        """Nothing of it is left but what was committed."""
        if self.session is not None:
            self.run(self.session.close())
        self.session, self.savepoints, self.seen = None, [], dict(self.stored)

    @precondition(lambda self: self.session is None)
    @rule()
    def begin(self) -> None:
        self.session = self.open_session()
        self.seen = dict(self.stored)

    @precondition(lambda self: self.session is not None)
    @rule(key=KEYS, value=VALUES)
    def write(self, key: int, value: int) -> None:
        if key in self.seen:
            self.run(self.session.execute(update(Counter).where(Counter.id == key).values(value=value)))
        else:
            self.run(self.session.execute(insert(Counter).values(id=key, value=value)))
        self.seen[key] = value

    @precondition(lambda self: self.session is not None)
    @rule(key=KEYS)
    def erase(self, key: int) -> None:
        self.run(self.session.execute(delete(Counter).where(Counter.id == key)))
        self.seen.pop(key, None)

    @precondition(lambda self: self.session is not None and len(self.savepoints) < 3)
    @rule()
    def savepoint(self) -> None:
        async def begin() -> Any:
            return await self.session.begin_nested()

        self.savepoints.append((self.run(begin()), dict(self.seen)))

    @precondition(lambda self: self.savepoints)
    @rule(keep=st.booleans())
    def leave_savepoint(self, keep: bool) -> None:
        point, before = self.savepoints.pop()
        if keep:
            self.run(point.commit())
        else:
            self.run(point.rollback())
            self.seen = before

    @precondition(lambda self: self.session is not None and self.seen)
    @rule(which=st.integers(0, 3), go_on=st.booleans())
    def fail(self, which: int, go_on: bool) -> None:
        """A duplicate. PostgreSQL's transaction is lost then, with whatever else was in it."""
        key = sorted(self.seen)[which % len(self.seen)]
        with pytest.raises(IntegrityError):
            self.run(self.session.execute(insert(Counter).values(id=key, value=0)))
        if self.db.dialect != "postgresql":
            return  # the statement is undone, and that is all
        if self.savepoints and go_on:
            point, self.seen = self.savepoints.pop()
            self.run(point.rollback())
            return
        with pytest.raises((PendingRollbackError, DBAPIError)):
            self.run(self.session.commit())
        self.end()

    @precondition(lambda self: self.session is not None)
    @rule(key=KEYS, value=VALUES, point=st.integers(1, 6))
    def cancel(self, key: int, value: int, point: int) -> None:
        """A write that is cancelled at any of its waits: the session is given up."""
        session = self.session

        async def work() -> None:
            await session.execute(delete(Counter).where(Counter.id == key))
            await session.execute(insert(Counter).values(id=key, value=value))

        outcome = self.run(step(work(), point))
        if outcome.completed:
            self.seen[key] = value
        else:
            assert outcome.allowed, outcome.error
            self.end()

    @precondition(lambda self: self.session is not None)
    @rule()
    def commit(self) -> None:
        self.run(self.session.commit())
        self.savepoints = []
        self.stored = dict(self.seen)
        self.end()

    @precondition(lambda self: self.session is not None)
    @rule(close=st.booleans())
    def give_up(self, close: bool) -> None:
        if not close:
            self.run(self.session.rollback())
        self.end()

    # -- whole transactions

    @precondition(lambda self: self.session is None)
    @rule(key=KEYS, value=VALUES, conflicts=st.integers(0, 2))
    def run_with_retry(self, key: int, value: int, conflicts: int) -> None:
        """Run again after each conflict; stored once."""
        conflict = CONFLICT.get(self.db.dialect)
        left = [conflicts if conflict else 0]

        async def work(session: AsyncSession) -> None:
            await session.execute(delete(Counter).where(Counter.id == key))
            await session.create(Counter, id=key, value=value)
            if left[0]:
                left[0] -= 1
                await session.execute(text(str(conflict)))

        self.run(self.db.run(work))
        self.stored[key] = value

    @precondition(lambda self: self.session is None)
    @rule(key=KEYS, value=VALUES)
    def verbs(self, key: int, value: int) -> None:
        async def work() -> None:
            async with self.db.transaction() as session:
                await session.upsert(Counter, id=key, value=value)
                (counter,) = await session.lock(Counter, [key])
                await session.update(counter, value=value)
                if await session.count(Counter) != len(self.stored.keys() | {key}):
                    raise AssertionError("another number of rows")

        self.run(work())
        self.stored[key] = value

    @precondition(lambda self: self.session is None)
    @rule(key=KEYS)
    def fail_as_a_whole(self, key: int) -> None:
        async def work() -> None:
            async with self.db.transaction() as session:
                await session.execute(delete(Counter))
                await session.lock(Counter, [key])

        with pytest.raises(NotFound):
            self.run(work())

    # -- both say the same

    @invariant()
    def agree(self) -> None:
        async def look() -> tuple[dict[int, int], dict[int, int] | None]:
            async with self.db.reader() as reader:
                stored = {one.id: one.value for one in (await reader.scalars(select(Counter))).all()}
            if self.session is None:
                return stored, None
            rows = await self.session.execute(select(Counter.id, Counter.value))
            return stored, {row.id: row.value for row in rows}

        stored, seen = self.run(look())
        assert stored == self.stored
        assert seen is None or seen == self.seen
        assert self.db.engine.pool.checkedout() == (0 if self.session is None else 1)


def check(machine: type[Sessions], url: str) -> None:
    run_state_machine_as_test(
        type("Machine", (machine,), {"url": url}),
        settings=settings(
            max_examples=200 if LONG else 8,
            stateful_step_count=40 if LONG else 20,
            derandomize=not LONG,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_session_is_a_dict(url: str) -> None:
    """On each of the three databases, in every order of steps that is tried."""
    check(Sessions, url)


class Naive(Sessions):
    """The same steps on SQLAlchemy's own session and engine."""

    async def begin_anew(self) -> Database:
        db = await super().begin_anew()
        self.naive = create_async_engine(make_url(self.url).set(drivername="postgresql+asyncpg"))
        return db

    def open_session(self) -> Any:
        return PlainSession(self.naive, expire_on_commit=False)

    def teardown(self) -> None:
        self.end()
        self.run(self.naive.dispose())
        super().teardown()


@pytest.mark.filterwarnings("ignore")
def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """There COMMIT of a transaction that has failed is a success, and nothing is stored."""
    machine = type("Machine", (Naive,), {"url": postgresql_url})()
    machine.begin()
    machine.write(key=1, value=5)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        machine.fail(which=0, go_on=False)
    machine.teardown()
