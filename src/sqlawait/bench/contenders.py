"""The ways of serving the API that are measured against each other."""

from __future__ import annotations

from dataclasses import dataclass

EVERYWHERE = frozenset({"sqlite", "postgresql", "mysql"})


@dataclass(frozen=True, slots=True)
class Contender:
    """An app under test."""

    name: str
    title: str
    app: str
    """``module:app``."""
    about: str
    databases: frozenset[str] = EVERYWHERE
    sync: bool = False
    """Blocks a thread, or the event loop, while the database works."""


_APPS = "sqlawait.bench.apps"

CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            "sync",
            "sync",
            f"{_APPS}.sync:app",
            "def routes and a sync Session, each request in one of FastAPI's 40 threads",
            sync=True,
        ),
        Contender(
            "halfway",
            "async over sync",
            f"{_APPS}.halfway:app",
            "async def routes over a sync Session: every query stops the event loop",
            sync=True,
        ),
        Contender(
            "usual",
            "usual async",
            f"{_APPS}.usual:app",
            "async def routes and SQLAlchemy's AsyncSession, as the tutorials write them",
        ),
        Contender(
            "moved",
            "usual on Database",
            f"{_APPS}.moved:app",
            "the same routes as the usual async stack, their sessions made by sqlawait's Database",
        ),
        Contender("verbs", "sqlawait", f"{_APPS}.verbs:app", "sqlawait: the request's session and the verbs"),
        Contender(
            "shaped",
            "sqlawait shaped",
            f"{_APPS}.shaped:app",
            "sqlawait's shaped reads: the database writes the response's JSON",
        ),
        Contender(
            "handwritten",
            "asyncpg by hand",
            f"{_APPS}.handwritten:app",
            "FastAPI over hand-written SQL on asyncpg's pool, with response models",
            frozenset({"postgresql"}),
        ),
        Contender(
            "bare",
            "Starlette, JSON in SQL",
            f"{_APPS}.bare:app",
            "Starlette over asyncpg's pool, the JSON built in SQL by hand: about the least Python can do",
            frozenset({"postgresql"}),
        ),
    )
}

COMPARED = ("sync", "halfway", "usual", "moved", "verbs", "shaped")
"""What ``sqlawait bench`` compares unless told otherwise."""

NOTHING = Contender(
    "nothing", "no framework", f"{_APPS}.nothing:app", "the most that uvicorn and the load can do"
)

__all__ = ["COMPARED", "CONTENDERS", "NOTHING", "Contender"]
