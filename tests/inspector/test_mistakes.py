"""Each route of the demo makes its mistake, and the guards find it with its fix."""

from __future__ import annotations

import pytest
from tests.inspector.conftest import make_app, started

from sqlawait.inspector.mistakes import MISTAKES

FOUND = {
    "lazy-load": ("lazy-load", "selectinload(Author.books)"),
    "n-plus-one": ("n-plus-one", "Author.id.in_(values)"),
    "n-plus-one-lazy": ("n-plus-one", "selectinload(Author.books)"),
    "shared-session": ("shared-session", "session.parallel"),
    "blocking-database": ("blocked-loop", "run_sync"),
    "blocking-call": ("blocked-loop", "to_thread"),
    "leaked-connection": ("leaked-connection", "async with"),
    "held-connection": ("leaked-connection", "commit"),
}


def test_every_mistake_is_tested() -> None:
    """The table below misses none."""
    assert set(FOUND) == set(MISTAKES)


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited:RuntimeWarning")
async def test_found(name: str) -> None:
    """With the line of the route, and what to write instead."""
    guard, fix = FOUND[name]
    app, inspector = make_app()
    async with started(app) as client:
        for _ in range(20):  # on a busy machine the watch reports only what it could see for sure
            await client.get(f"/mistakes/{name}")
            if any(finding.guard == guard for finding in inspector.collector.findings()):
                break
        assert (await client.get("/mistakes")).json()[f"/mistakes/{name}"]
    by_time = name != "blocking-call"  # a slow machine may block the loop for longer than the limit by itself
    findings = [
        finding
        for finding in inspector.collector.findings()
        if not (by_time and finding.guard == "blocked-loop" and finding.seconds)
    ]
    assert {finding.guard for finding in findings} == {guard}
    assert fix in findings[0].fix
    assert findings[0].site is not None
    assert findings[0].site.file.endswith("mistakes.py")
    assert findings[0].where == f"GET /mistakes/{name}"
