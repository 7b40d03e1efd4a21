"""Workers that are killed, wherever they are: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from promises.bank import Bank
from promises.chaos import Schedule, terminating, withstand
from promises.effort import LONG, SEEDS
from promises.servers import Workers
from sqlawait import Database


@asynccontextmanager
async def served_bank(
    app: str, url: str, seed: int, *, count: int, **environ: str
) -> AsyncIterator[tuple[Bank, Workers]]:
    """A bank that workers serve, and whose audit asks the database itself."""
    async with Database(url, pool_size=4, threads=1) as db:
        workers = Workers(app, count=count, DATABASE_URL=url, GUARDS="off", EMBEDDER="none", **environ)
        async with httpx.AsyncClient(base_url=workers.base, timeout=30) as http:
            it = Bank(db, http, seed)
            await it.open()
            async with workers:
                yield it, workers


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "mysql"] if LONG else ["sqlite"])
async def test_killed_workers_break_no_promise(backend: str, seed: int, request: pytest.FixtureRequest) -> None:
    """kill -9 of a worker in whatever it does; its clients send again with the same key, to another."""
    url = request.getfixturevalue(f"{backend}_url")
    async with served_bank("sqlawait.service.main:app", url, seed, count=3) as (it, workers):

        async def kill(random: Random) -> None:
            await workers.serving()  # where they start slowly, none would live to serve
            workers.kill(random)

        faults = {"kill -9 of a worker": kill}
        if it.db.dialect != "sqlite":
            faults["terminate"] = terminating(it)
        await withstand(it, Schedule(seed, faults, pause=(0.2, 2)))
        if it.db.dialect == "sqlite":
            assert await integrity(it.db) == ["ok"]


async def integrity(db: Database) -> list[Any]:
    """What SQLite says of its own file, and of every foreign key."""
    async with db.session() as session:
        found = list((await session.scalars(text("PRAGMA integrity_check"))).all())
        return found + list((await session.execute(text("PRAGMA foreign_key_check"))).all())


async def test_death_between_commit_and_answer_is_done_once(url: str, tmp_path: Path) -> None:
    """The worker is gone, its transfer is stored; the same request again gets the answer that was lost."""
    async with mortal_bank("careful", url, tmp_path) as it:
        again = await send_until_answered(it)
        assert again.status_code == 201
        assert again.headers["Idempotent-Replayed"] == "true"
        assert await it.audit() == []


async def test_the_naive_variant_is_caught(sqlite_url: str, tmp_path: Path) -> None:
    """A key that is remembered after the commit is not remembered by the dead: the money moves twice."""
    async with mortal_bank("naive", sqlite_url, tmp_path) as it:
        again = await send_until_answered(it)
        assert again.status_code == 201
        assert any("transfers for" in one for one in await it.audit())


@asynccontextmanager
async def mortal_bank(variant: str, url: str, tmp_path: Path) -> AsyncIterator[Bank]:
    served = served_bank(
        f"promises.mortal:{variant}", url, 1, count=2, UVICORN_FACTORY="1", MORTAL=str(tmp_path / "died")
    )
    async with served as (it, _):
        yield it
        assert (tmp_path / "died").exists()


async def send_until_answered(it: Bank) -> httpx.Response:
    """One transfer, sent until somebody lives long enough to answer it."""
    order = {"source_id": it.ids[0], "target_id": it.ids[1], "amount": "5"}
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await it.http.post("/transfers", json=order, headers={"Idempotency-Key": "k"})
            except httpx.TransportError:
                continue
            it.told.acknowledged["k"] = answer.json()["id"]
            return answer
