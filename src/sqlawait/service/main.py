"""The application: ``uvicorn sqlawait.service.main:app``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from sqlawait import Database
from sqlawait.fastapi import install, problem
from sqlawait.metrics import CountRequests, Metrics
from sqlawait.service import crud
from sqlawait.service.docs import add_docs
from sqlawait.service.embedder import embedder
from sqlawait.service.routers import accounts, categories, documents, health, items, reports, users
from sqlawait.service.settings import Settings
from sqlawait.service.sight import watch
from sqlawait.tracing import trace_statements

ROUTERS = [module.router for module in (users, items, categories, accounts, documents, reports, health)]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application.

    Args:
        settings: The environment's unless given.
    """
    settings = settings or Settings()
    metrics = Metrics()
    db = Database(
        settings.database_url,
        replicas=settings.database_replicas,
        pool_size=settings.pool_size,
        observers=[metrics],
    )

    @asynccontextmanager
    async def observe(_: FastAPI) -> AsyncIterator[None]:
        for engine in db.engines:
            metrics.time_statements(engine.sync_engine)
            trace_statements(engine.sync_engine)
        yield

    app = FastAPI(
        title="sqlawait",
        description="Users, posts, items, accounts, documents and reports on async SQLAlchemy.",
        lifespan=observe,
        docs_url=None,
        redoc_url=None,
        telemetry={"logs": False},  # they would hold exceptions' messages, which quote values
    )
    app.state.embedder = embedder(settings.embedder)
    app.state.metrics = metrics
    app.add_middleware(CountRequests, metrics=metrics)
    install(app, db, secret=settings.secret)
    app.add_exception_handler(crud.Refused, refuse)
    for router in ROUTERS:
        app.include_router(router)
    add_docs(app)
    watch(app, settings)
    return app


async def refuse(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer what the data forbid."""
    return problem(409, str(error))


app = create_app()
