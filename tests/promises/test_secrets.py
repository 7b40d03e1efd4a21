"""What is secret appears nowhere: in no answer, log, traceback, text of an object, page of the inspector."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.types import Receive, Scope, Send

from models import Base, Counter, User
from sqlawait import Database, Timeouts
from sqlawait.exceptions import SqlawaitError
from sqlawait.fastapi import SessionDep, install
from sqlawait.service.main import create_app
from sqlawait.service.models import Base as ServiceBase
from sqlawait.service.settings import Settings

PASSWORD = "pass-CANARY-word"
VALUE = "value-CANARY"
TOKEN = "a-token-of-thirty-two-characters"


_NOT_OURS = ("aiosqlite", "httpx", "httpcore")
"""The driver's log of every call, at DEBUG, which is all values; and the test's own client."""


class Ears(logging.Handler):
    """Hears every logger, at every level, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.heard: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_NOT_OURS):
            return
        self.heard.append(self.format(record))


@pytest.fixture
def ears() -> Iterator[Ears]:
    """All that is logged while the test runs."""
    ears, root = Ears(), logging.getLogger()
    level = root.level
    root.addHandler(ears)
    root.setLevel(0)
    yield ears
    root.setLevel(level)
    root.removeHandler(ears)


def with_password(url: str, *, query: bool) -> str:
    """The URL with the canary for a password, before the host or in the query."""
    made = make_url(url)
    made = made.update_query_dict({"password": PASSWORD}) if query else made.set(password=PASSWORD)
    return made.render_as_string(hide_password=False)


def told_by(error: BaseException) -> str:
    """All that a traceback of it prints, the chain included, and its own texts."""
    return "\n".join([*traceback.format_exception(error), str(error), repr(error)])


MISTAKES: dict[str, tuple[str, dict[str, str]]] = {
    "a duplicate": ("INSERT INTO users (email, level, changes) VALUES (:value, 1, 1)", {"value": VALUE}),
    "a NULL": (
        "INSERT INTO users (email, name, level, changes) VALUES (:value, NULL, 1, 1)",
        {"value": "x" + VALUE},
    ),
    "a check": (
        "INSERT INTO tagged (tag, size) VALUES (:value, -1)",
        {"value": VALUE},
    ),
    "a missing parent": ("INSERT INTO tagged (tag, size, parent) VALUES ('x', 1, :value)", {"value": VALUE}),
    "a wrong type": ("INSERT INTO tagged (tag, size) VALUES ('x', CAST(:value AS INTEGER))", {"value": VALUE}),
    "a wrong date": ("INSERT INTO tagged (tag, size, day) VALUES ('x', 1, :value)", {"value": VALUE}),
    "too long": ("INSERT INTO tagged (tag, size) VALUES (:value, 1)", {"value": VALUE * 20}),
    "no such column": ("SELECT nonsense FROM users WHERE email = :value", {"value": VALUE}),
    "no such table": ("SELECT 1 FROM nowhere WHERE email = :value", {"value": VALUE}),
}


async def lay_out(db: Database) -> None:
    """A table in which much can go wrong, and a row that holds the canary."""
    await db.create_all(Base.metadata)
    async with db.transaction() as session:
        await session.create(User, email=VALUE)
        await session.create(Counter, id=1)
        await session.execute(
            text(
                "CREATE TABLE tagged (tag VARCHAR(40) PRIMARY KEY, size INTEGER NOT NULL CHECK (size > 0),"
                " day DATE, parent VARCHAR(40), FOREIGN KEY (parent) REFERENCES tagged (tag))"
            )
        )


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_an_error_of_the_database_tells_no_value(url: str, mistake: str, ears: Ears) -> None:
    """Neither the driver's text, nor SQLAlchemy's, nor what is chained to them."""
    statement, parameters = MISTAKES[mistake]
    async with Database(url, timeouts=Timeouts(command=5)) as db:
        await lay_out(db)
        told = ""
        try:
            async with db.transaction() as session:
                await session.execute(text(statement), parameters)
        except (SQLAlchemyError, SqlawaitError) as error:
            told = told_by(error)
        assert told or db.dialect == "sqlite"  # which takes any text for a number or a date, and of any length
    assert "CANARY" not in told
    assert "CANARY" not in "\n".join(ears.heard)


async def test_the_orm_tells_no_value(db: Database, ears: Ears) -> None:
    """The same for the verbs, one statement or a flush."""
    async with db.transaction() as session:
        await session.create(User, email=VALUE)
    for flush in (False, True):
        with pytest.raises(SQLAlchemyError) as caught:
            async with db.transaction() as session:
                if flush:
                    session.add(User(email=VALUE))
                else:
                    await session.create(User, email=VALUE)
        assert "CANARY" not in told_by(caught.value)
    assert "CANARY" not in "\n".join(ears.heard)


@pytest.mark.parametrize("query", [False, True])
@pytest.mark.parametrize("away", ["postgresql", "mysql", "mysql+aiomysql"])
@pytest.mark.parametrize("how", ["nobody listens", "no such database"])
async def test_a_failed_connect_tells_no_password(
    away: str, how: str, query: bool, ears: Ears, request: pytest.FixtureRequest
) -> None:
    """Neither the error nor the Database, its engine, its pool or its health have it in their texts."""
    backend = away.partition("+")[0]
    url = make_url(request.getfixturevalue(f"{backend}_url")).set(drivername=away)
    url = url.set(port=1) if how == "nobody listens" else url.set(database="nowhere")
    db = Database(with_password(url.render_as_string(hide_password=False), query=query))
    with pytest.raises((SQLAlchemyError, SqlawaitError)) as caught:
        await db.open()
    texts = [told_by(caught.value), repr(db), repr(db.engine), repr(db.engine.pool), db.engine.pool.status()]
    texts += [repr(await db.health()), repr(db.engine.url), str(db.engine.url), repr(vars(db))]
    await db.close()
    assert "CANARY" not in "\n".join(texts + ears.heard)


def test_a_refused_url_tells_no_password() -> None:
    """The message that names the right driver hides what it quotes."""
    for url in (
        f"postgresql+psycopg2://app:{PASSWORD}@localhost/shop",
        f"nonsense://app:{PASSWORD}@localhost/shop",
        f"mysql+pymysql://app@localhost/shop?password={PASSWORD}",
    ):
        with pytest.raises(SqlawaitError) as caught:
            Database(url)
        assert "CANARY" not in told_by(caught.value)
    assert "CANARY" not in repr(Settings(database_url=f"sqlite:///{PASSWORD}.db", inspector_token=PASSWORD))


@asynccontextmanager
async def served(app: FastAPI, printed: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client; what the server would print of an exception goes into ``printed``."""

    async def printing(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            printed.append(told_by(error))
            raise

    transport = httpx.ASGITransport(printing, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield http


async def test_the_service_tells_no_value(url: str, ears: Ears) -> None:
    """Conflicts, refused input, the inspector's page and all that it gets its figures from."""
    printed: list[str] = []
    answers: list[str] = []
    app = create_app(Settings(database_url=url, guards="log", inspector_token=TOKEN, embedder="none"))
    async with served(app, printed) as http:
        await app.state.sqlawait.create_all(ServiceBase.metadata)
        made = await http.post("/users", json={"email": f"{VALUE}@example.com", "name": VALUE})
        assert made.status_code == 201
        user = made.json()["id"]
        for body in (
            {"email": f"{VALUE}@example.com", "name": "again"},
            {"email": VALUE, "name": VALUE},
            {"email": "a@example.com", "name": VALUE * 50},
        ):
            answer = await http.post("/users", json=body)
            assert answer.status_code in {409, 422}
            answers.append(answer.text)
        await http.post(f"/users/{user}/posts", json={"title": VALUE, "body": VALUE})
        assert (await http.get(f"/users/{user}/combined")).status_code == 200
        assert (await http.get("/users", params={"name": VALUE})).status_code == 200
        answers.append((await http.get("/users", params={"sort": VALUE[:5]})).text)
        mine = {"authorization": f"Bearer {TOKEN}"}
        for path in (
            "",
            *(f"api/{part}" for part in ("requests", "groups", "statements", "findings", "pools")),
        ):
            page = await http.get(f"/_sqlawait/{path}", headers=mine)
            assert page.status_code == 200
            answers.append(page.text)
        seen = (await http.get("/_sqlawait/api/requests", headers=mine)).json()
        pages = [await http.get(f"/_sqlawait/api/requests/{one['id']}", headers=mine) for one in seen]
        answers += [page.text for page in pages]
        answers.append((await http.get("/metrics")).text)
    app.state.guards.remove()
    for text_ in (*answers, *printed, *ears.heard):
        assert "CANARY" not in text_, text_[:2000]


async def test_an_exception_of_the_program_that_is_chained_tells_no_value(url: str, ears: Ears) -> None:
    """The server prints it with all that it came from: the database's error is in there."""
    printed: list[str] = []
    async with served(chaining(url), printed) as http:
        answer = await http.post("/chained")
    assert answer.status_code == 500
    assert "RuntimeError" in printed[0]
    assert "CANARY" not in "\n".join([answer.text, *printed, *ears.heard])


def chaining(url: str) -> FastAPI:
    app = FastAPI()
    db = Database(url)
    install(app, db)

    @app.post("/chained")
    async def chained(session: SessionDep) -> None:
        await lay_out(db)
        try:
            await session.execute(text(MISTAKES["a duplicate"][0]), MISTAKES["a duplicate"][1])
        except SQLAlchemyError as error:
            raise RuntimeError("the order could not be taken") from error

    return app


async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """SQLAlchemy's own engine with hide_parameters=True: the driver's text still has the value."""
    engine = create_async_engine(
        make_url(postgresql_url).set(drivername="postgresql+asyncpg"), hide_parameters=True
    )
    with pytest.raises(SQLAlchemyError) as caught:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            for _ in range(2):
                await connection.execute(text(MISTAKES["a duplicate"][0]), MISTAKES["a duplicate"][1])
    await engine.dispose()
    assert "CANARY" in told_by(caught.value)
