"""Random Query chains give the same rows after conversion as before, on a real database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from equivalence import HEAD, MODELS, Chains, convert_source, load, populate, run_after, run_before
from sqlalchemy import create_engine, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

CASES = int(os.environ.get("SQLAWAIT_CHAINS", "300"))
"""Chains on SQLite, and a third of that on PostgreSQL; 10000 for the whole run."""
DRIVERS = {
    "sqlite": ("sqlite", "sqlite+aiosqlite"),
    "postgresql": ("postgresql+psycopg", "postgresql+asyncpg"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("database", DRIVERS)
async def test_same_rows(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A converted chain gives what the chain gave, failures included."""
    url = make_url(request.getfixturevalue(f"{database}_url"))
    sync_driver, async_driver = DRIVERS[database]
    models = load("shelf", MODELS)
    engine = create_engine(url.set(drivername=sync_driver))
    models.Base.metadata.create_all(engine)
    with Session(engine) as session:
        populate(session, models)
    async_engine = create_async_engine(
        url.set(drivername=async_driver), poolclass=NullPool if database == "sqlite" else None
    )
    try:
        different: list[str] = []
        cases = CASES if database == "sqlite" else CASES // 3
        for seed in range(0, cases, 500):
            chains = Chains(seed)
            functions = [chains.function(f"f{number}") for number in range(min(500, cases))]
            after = convert_source(tmp_path, HEAD + "\n\n".join(functions))
            old, new = load("old", HEAD + "\n\n".join(functions)), load("new", after)
            for number, source in enumerate(functions):
                expected = run_before(engine, getattr(old, f"f{number}"))
                found = await run_after(async_engine, getattr(new, f"f{number}"))
                if found != expected and not (isinstance(found, str) and isinstance(expected, str)):
                    different.append(f"{source}\nbefore: {expected!r}\nafter: {found!r}")
        assert different == [], "\n\n".join(different[:5])
    finally:
        engine.dispose()
        await async_engine.dispose()
