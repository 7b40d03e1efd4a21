"""Put a Database into a FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from sqlawait.collector import rare_collections
from sqlawait.database import Database
from sqlawait.exceptions import ConfigurationError
from sqlawait.fastapi.limits import BodyLimit
from sqlawait.fastapi.positions import ReadYourWrites, Seal
from sqlawait.fastapi.problems import handle_errors
from sqlawait.fastapi.shortcuts import take_shortcuts

_MAX_BODY = 1024 * 1024


def install(app: FastAPI, db: Database, *, max_body: int = _MAX_BODY, secret: str | None = None) -> None:
    """Give an application its database: lifespan, dependencies, error mapping, limits.

    Call it once, after ``FastAPI()`` and before the application starts.

    Parameters:
        app: the application. Its own lifespan still runs, inside of the database's.
        db: opened when the application starts, closed when it stops: requests under way finish first.
        max_body: how many bytes a request's body may have; more is a 413.
        secret: for a database with replicas: signs the cookie by which a client that has written reads what it
            has written. At least 16 characters, the same in every process of the application.

    Raises:
        ConfigurationError: the database has replicas and there is no secret, or one that is too short.

    Example::

        db = Database("postgresql://app@localhost/shop")
        app = FastAPI()
        install(app, db)
    """
    if db.replicas is not None:
        if secret is None:
            raise ConfigurationError(
                "this Database has replicas: give install(secret=…) a text that all processes of the"
                " application share, so that a client that has written reads what it has written"
            )
        seal = Seal(secret, db.replicas.max_lag)
        app.add_middleware(ReadYourWrites, db=db, replicas=db.replicas, seal=seal)
    app.state.sqlawait = db
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with db, inner(app) as state:
            take_shortcuts(app.routes)
            with rare_collections():
                yield state

    app.router.lifespan_context = lifespan
    handle_errors(app)
    app.add_middleware(BodyLimit, max_body=max_body)
