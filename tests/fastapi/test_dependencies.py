"""Sessions in routes: when they commit, when they roll back, when they close."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import select
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, StreamingResponse

from models import Base, Post, User
from sqlawait import Database
from sqlawait.fastapi import (
    DatabaseDep,
    IdempotencyKey,
    IdempotencyRecord,
    ReaderDep,
    SessionDep,
    StreamSessionDep,
    install,
    ndjson,
    once,
)


class Answer(IdempotencyRecord, Base):
    __tablename__ = "answers"


class UserIn(BaseModel):
    email: str


class UserOut(BaseModel):
    id: int
    email: str


def make_app(db: Database) -> FastAPI:
    app = FastAPI()
    install(app, db, max_body=10_000)

    @app.post("/users", status_code=201, response_model=UserOut)
    async def create(body: UserIn, session: SessionDep) -> User:
        return await session.create(User, email=body.email)

    @app.post("/refused")
    async def refused(body: UserIn, session: SessionDep) -> None:
        await session.create(User, email=body.email)
        raise HTTPException(418, "no")

    @app.post("/broken-answer", response_model=UserOut)
    async def broken_answer(body: UserIn, session: SessionDep) -> dict[str, str]:
        await session.create(User, email=body.email)
        return {"wrong": "shape"}

    @app.post("/orphans", status_code=201)
    async def orphan(session: SessionDep) -> None:
        session.add(Post(user_id=999, title="x"))  # not flushed here: the commit finds it

    @app.get("/users/{user_id}", response_model=UserOut)
    async def read(user_id: int, session: ReaderDep) -> User:
        return await session.one(select(User).where(User.id == user_id))

    @app.get("/export")
    async def export(session: StreamSessionDep) -> StreamingResponse:
        return ndjson(session, select(User).order_by(User.id), UserOut)

    @app.post("/later", status_code=202)
    async def later(body: UserIn, db: DatabaseDep) -> JSONResponse:
        async def work() -> None:
            async with db.transaction() as session:
                await session.create(User, email=body.email)

        return JSONResponse({}, 202, background=BackgroundTask(work))

    @app.post("/once", status_code=201)
    async def do_once(body: UserIn, key: IdempotencyKey = None) -> object:
        async def work(session) -> UserOut:
            user = await session.create(User, email=body.email)
            return UserOut(id=user.id, email=user.email)

        return await once(db, Answer, key, body, work)

    return app


@pytest.fixture
async def client(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(db)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


async def test_a_2xx_is_committed(client: httpx.AsyncClient, db: Database) -> None:
    """What the answer says is stored can be read by another session."""
    answer = await client.post("/users", json={"email": "ada@example.com"})
    assert answer.status_code == 201
    async with db.session() as session:
        assert await session.exists(User, email="ada@example.com")
    assert (await client.get(f"/users/{answer.json()['id']}")).json() == answer.json()


@pytest.mark.parametrize(("path", "status"), [("/refused", 418), ("/broken-answer", 500)])
async def test_an_error_is_rolled_back(client: httpx.AsyncClient, db: Database, path: str, status: int) -> None:
    """An exception in the route, or an answer that does not fit its model, leaves nothing behind."""
    answer = await client.post(path, json={"email": "ada@example.com"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    async with db.session() as session:
        assert await session.count(User) == 0


async def test_a_commit_that_fails_is_not_a_success(client: httpx.AsyncClient, db: Database) -> None:
    """The constraint that only the commit finds answers 409, because the commit comes before the response."""
    answer = await client.post("/orphans")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:sqlawait:foreign-key"


async def test_errors_are_problems(client: httpx.AsyncClient, db: Database) -> None:
    """Not found is 404, a duplicate 409, wrong input 422; none tells SQL or values."""
    assert (await client.get("/users/1")).status_code == 404
    await client.post("/users", json={"email": "grace@example.com"})
    duplicate = await client.post("/users", json={"email": "grace@example.com"})
    assert duplicate.status_code == 409
    assert "grace" not in duplicate.text  # no word of hex digits: the id beside it is random
    assert "INSERT" not in duplicate.text
    surrogate = b'{"email": "\\ud800"}'
    unfit = await client.post("/users", content=surrogate, headers={"content-type": "application/json"})
    assert unfit.status_code == 422
    assert unfit.json()["type"] in {"urn:sqlawait:bad-data", "urn:sqlawait:invalid-request"}
    wrong = await client.post("/users", json={"email": 5})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["loc"] == ["body", "email"]
    for answer in (duplicate, unfit, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["instance"].startswith("urn:uuid:")


async def test_a_large_body_is_refused(client: httpx.AsyncClient) -> None:
    """With or without its length, a body over the limit is a 413."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"email": "'
        for _ in range(20):
            yield b"x" * 1000
        yield b'"}'

    assert (await client.post("/users", json={"email": "x" * 20_000})).status_code == 413
    assert (await client.post("/users", content=chunks())).status_code == 413


async def test_a_stream_has_its_session_to_the_last_line(client: httpx.AsyncClient, db: Database) -> None:
    """Every row is sent, one JSON object a line."""
    async with db.transaction() as session:
        await session.bulk_insert(User, [{"email": f"{number}@example.com"} for number in range(1_200)])
    answer = await client.get("/export")
    lines = answer.text.splitlines()
    assert len(lines) == 1_200
    assert UserOut.model_validate_json(lines[-1]).email == "1199@example.com"


async def test_a_background_task_takes_a_session_of_its_own(client: httpx.AsyncClient, db: Database) -> None:
    """The documented way for work after the response: db.transaction()."""
    assert (await client.post("/later", json={"email": "ada@example.com"})).status_code == 202
    async with db.session() as session:
        assert await session.exists(User, email="ada@example.com")


async def test_the_same_key_is_done_once(client: httpx.AsyncClient, db: Database) -> None:
    """A repeated request gets the stored answer; another body under the same key is refused."""
    headers = {"Idempotency-Key": "k1"}
    first = await client.post("/once", json={"email": "ada@example.com"}, headers=headers)
    again = await client.post("/once", json={"email": "ada@example.com"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await client.post("/once", json={"email": "bob@example.com"}, headers=headers)).status_code == 422
    async with db.session() as session:
        assert await session.count(User) == 1


async def test_the_same_key_at_the_same_time_is_done_once(client: httpx.AsyncClient, db: Database) -> None:
    """Eight requests with one key at once: one does the work, all get its answer."""
    import asyncio

    headers = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(
        *(client.post("/once", json={"email": "ada@example.com"}, headers=headers) for _ in range(8))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    async with db.session() as session:
        assert await session.count(User) == 1


async def test_a_duplicate_in_the_work_is_not_taken_for_the_key(client: httpx.AsyncClient) -> None:
    """A unique violation of the work itself stays a 409."""
    await client.post("/users", json={"email": "ada@example.com"})
    answer = await client.post("/once", json={"email": "ada@example.com"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 409


async def test_openapi_describes_problems(client: httpx.AsyncClient) -> None:
    """The document names the problem, not FastAPI's own validation body."""
    document = (await client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in document["components"]["schemas"]
    answer = document["paths"]["/users"]["post"]["responses"]["422"]
    assert "application/problem+json" in answer["content"]


def test_without_install_the_dependency_says_so() -> None:
    """A forgotten install is named, with the remedy."""
    from starlette.requests import HTTPConnection

    from sqlawait import ConfigurationError
    from sqlawait.fastapi.dependencies import database

    with pytest.raises(ConfigurationError, match="install"):
        database(HTTPConnection({"type": "http", "app": FastAPI(), "headers": []}))
