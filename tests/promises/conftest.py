"""After each test: every connection is back, and nothing is left for the garbage collector to warn of.

That no backend is left behind is held by the fixtures that make the databases.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from sqlalchemy import Pool
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlawait import Database


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A connection that was not given back is counted; when it is collected it warns, which is an error."""
    pools: list[Pool] = []
    make = Database._make_engine

    def remember(self: Database) -> AsyncEngine:
        engine = make(self)
        pools.append(engine.pool)
        return engine

    monkeypatch.setattr(Database, "_make_engine", remember)
    yield
    out = [pool.status() for pool in pools if pool.checkedout()]
    pools.clear()
    gc.collect()
    assert out == []
