"""Whatever the OpenAPI document allows, and much that it does not, is sent: no answer is a server error.

``PROMISES_CASES`` says how many requests each database's service gets; ``make promises`` sends 10,000.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from socket import socket

import pytest
import schemathesis
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import ServerError
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from models import Base, User
from sqlawait.service.main import create_app
from sqlawait.service.settings import Settings

CASES = int(os.environ.get("PROMISES_CASES", "0"))


class Server(uvicorn.Server):
    """A server that says when it listens, and where."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an application from a thread."""
    server = Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(30)
        yield server.base
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def document(service_url: str, emptied: None) -> Iterator[BaseSchema]:
    """The service's document, on each of the three databases."""
    app = create_app(Settings(database_url=service_url))
    with running(app) as base:
        schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
        if app.state.sqlawait.dialect == "mysql":
            schema = schema.exclude(path="/documents/search")  # where 501 is the right answer
        yield schema


async def test_no_input_is_a_server_error(document: BaseSchema) -> None:
    """Each answer of each operation is what the document says, and none is the server's fault."""
    operations = [found.ok() for found in document.get_all_operations()]
    examples = max(8, CASES // len(operations))
    for operation in operations:
        await to_thread.run_sync(check, operation, examples)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_the_naive_variant_is_caught(sqlite_url: str) -> None:
    """A route as the tutorials write it answers 500 to a number that the database cannot hold."""
    with running(naive_app(sqlite_url)) as base:
        (operation,) = schemathesis.openapi.from_url(f"{base}/openapi.json").get_all_operations()
        with pytest.raises(BaseExceptionGroup) as caught:
            await to_thread.run_sync(check, operation.ok(), 1_000)  # until the first failure
    assert caught.group_contains(ServerError)


def naive_app(sqlite_url: str) -> FastAPI:
    """One route over a plain session: what the path says goes to the database as it is."""
    engine = create_async_engine(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/users/{user_id}")
    async def read_user(user_id: int) -> str | None:
        async with AsyncSession(engine) as session:
            return await session.scalar(select(User.email).where(User.id == user_id))

    return app


def check(operation: APIOperation, examples: int) -> None:
    """Send generated requests, valid and not."""

    @given(case=st.one_of(operation.as_strategy(mode) for mode in GenerationMode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def send(case: schemathesis.Case) -> None:
        answer = case.call(timeout=60)  # seconds, on a machine that has other things to do
        checks = [not_a_server_error]
        if answer.status_code != 400:  # the server's own word on what is not HTTP: not in the document
            checks += [content_type_conformance, response_schema_conformance]
        case.validate_response(answer, checks=checks)

    send()
