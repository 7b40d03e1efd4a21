"""A 2xx means committed, exactly once; an error means not committed; money is conserved, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from promises.bank import Bank, careful_app, client_of, naive_app
from promises.effort import CLIENTS, SEEDS, TRANSFERS
from sqlawait import Database

DEADLINE = 2.0
"""Seconds within which conflicts are resolved: what ``db.run`` takes for its own."""
TOLD = ("acknowledged and lost", "stored and never asked for")
"""What is found of clients that have not finished: they are told later, or earlier, than the audit reads."""


@asynccontextmanager
async def bank(make_app: Callable[[Database], FastAPI], db: Database, seed: int) -> AsyncIterator[Bank]:
    """A bank whose clients reach the application in this process."""
    async with client_of(make_app(db)) as http:
        bank = Bank(db, http, seed)
        await bank.open()
        yield bank


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("level", [None, "SERIALIZABLE"])
async def test_nothing_is_lost_doubled_or_made_up(url: str, level: str | None, seed: int) -> None:
    """Concurrent transfers between few accounts: promises are kept, conflicts are resolved inside."""
    if level and url.startswith("sqlite"):
        pytest.skip("SQLite is always serializable: the other run is this one")
    async with bank(careful_app, db := Database(url, isolation_level=level), seed) as it:
        alone = await it.takes(transfers=20)
        before = it.told.answers.copy()
        await it.run(clients=CLIENTS, transfers=TRANSFERS)
        answers = it.told.answers - before
        unresolved = answers["503 deadlock"] + answers["503 serialization"]
        in_turn = max(alone, await it.takes(transfers=20)) * CLIENTS
        print(f"{db.dialect} {level}: {dict(answers)}; a transfer of each, in turn: {in_turn:.2f} s")
        # where a transfer of each, one after another, takes half of it, a slow moment takes the other half
        assert unresolved <= answers.total() * 0.001 or in_turn > DEADLINE / 2, (answers, in_turn)
        assert await it.audit() == []
        told = it.told
        assert len(told.acknowledged) > told.answers.total() / 4, told.answers
        assert db.engine.pool.checkedout() == 0


async def test_the_audit_is_of_one_moment(url: str) -> None:
    """While transfers go on, the database agrees with itself in every audit."""
    async with bank(careful_app, Database(url), 1) as it, asyncio.TaskGroup() as group:
        working = group.create_task(it.run(clients=8, transfers=8))
        audits = 0
        while not working.done():
            found = await it.audit()
            assert [one for one in found if not one.startswith(TOLD)] == []
            audits += 1
        assert audits > 1


async def test_the_naive_variant_is_caught(url: str) -> None:
    """The tutorials' way loses updates on the same load; this suite would show it."""
    async with Database(url) as db, bank(naive_app, db, 1) as it:
        await it.run(clients=8, transfers=10)
        found = await it.audit()
        assert it.told.acknowledged
        assert any("its ledger says" in one or "the accounts hold" in one for one in found), found
