"""Put a Database into a FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from sqlawait.database import Database
from sqlawait.fastapi.limits import BodyLimit
from sqlawait.fastapi.problems import handle_errors

_MAX_BODY = 1024 * 1024


def install(app: FastAPI, db: Database, *, max_body: int = _MAX_BODY) -> None:
    """Give an application its database: lifespan, dependencies, error mapping, limits.

    Call it once, after ``FastAPI()`` and before the application starts.

    Parameters:
        app: the application. Its own lifespan still runs, inside of the database's.
        db: opened when the application starts, closed when it stops: requests under way finish first.
        max_body: how many bytes a request's body may have; more is a 413.

    Example::

        db = Database("postgresql://app@localhost/shop")
        app = FastAPI()
        install(app, db)
    """
    app.state.sqlawait = db
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with db, inner(app) as state:
            yield state

    app.router.lifespan_context = lifespan
    handle_errors(app)
    app.add_middleware(BodyLimit, max_body=max_body)
