"""The shortcut of a route answers as FastAPI's own way does, whatever is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    routing,
)
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from sqlawait.fastapi.shortcuts import Shortcut, take_shortcuts

Answer = tuple[list[Any], str]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str = Field(max_length=5)
    price: Decimal = Decimal(1)


class Named(BaseModel):
    name: str


def refuse_thirteen(value: int) -> int:
    if value == 13:
        raise RuntimeError("thirteen")  # no ValueError: FastAPI lets it through
    return value


async def log(connection: HTTPConnection) -> list[str]:
    return connection.scope.setdefault("log", [])


async def who(name: str, log: Annotated[list[str], Depends(log)]) -> str:
    log.append(f"who {name}")
    if name == "nobody":
        raise HTTPException(401, "who are you?")
    return name


async def once(log: Annotated[list[str], Depends(log)], limit: int = 3) -> int:
    log.append("once")
    return limit


async def counted(log: Annotated[list[str], Depends(log)], name: Annotated[str, Depends(who)]) -> int:
    log.append(f"counted {name}")
    return len(log)


bearer = OAuth2PasswordBearer("token", auto_error=False)


def make_app() -> FastAPI:
    app = FastAPI()
    inner = APIRouter(dependencies=[Depends(who)])

    @app.get("/simple/{number}")
    async def simple(number: int, flag: bool = False, colour: Colour | None = None) -> dict[str, Any]:
        return {"number": number, "flag": flag, "colour": colour}

    @app.get("/limits/{number}", response_model=None)
    async def limits(
        number: Annotated[int, Path(ge=2), AfterValidator(refuse_thirteen)],
        kind: Annotated[Literal["a", "b"], Query(alias="of-kind")],
        key: UUID | None = None,
        price: Annotated[Decimal | None, Query(max_digits=3)] = None,
    ) -> Any:
        return [number, kind, key, price]

    @app.get("/depending", response_model=list[str])
    async def depending(
        log: Annotated[list[str], Depends(log)],
        name: Annotated[str, Depends(who)],
        limit: Annotated[int, Depends(once)],
        again: Annotated[int, Depends(once)],
        afresh: Annotated[int, Depends(once, use_cache=False)],
        anew: Annotated[int, Depends(counted, use_cache=False)],
        token: Annotated[str | None, Depends(bearer)],
        number: int = 0,
    ) -> list[str]:
        return [*log, name, str(limit + again + afresh + anew + number), str(token)]

    @app.post("/items", status_code=201, response_model=Named)
    async def create(item: Item, request: Request, dry: bool = False) -> Any:
        if item.name == "odd":
            return {"no": "name"}
        return Named(name=f"{item.name} {item.price} {dry} {len(await request.body())}")

    @app.put("/items/{number}")
    async def replace(number: int, items: Annotated[list[Item], Body()]) -> list[Item]:
        if number == 7:
            raise HTTPException(409, "taken")
        return items

    @app.delete("/items/{number}", status_code=204)
    async def delete(number: int) -> None:
        if number == 7:
            raise KeyError(number)

    @app.get("/response/{code}")
    async def response(code: int) -> Response:
        return PlainTextResponse("mine", code, background=BackgroundTask(log, HTTPConnection({"type": "http"})))

    @inner.get("/{number}", tags=["inner"])
    async def included(number: int) -> int:
        return number

    app.include_router(inner, prefix="/inner")

    # these have no shortcut

    @app.get("/long/thread/{number}")
    def in_thread(number: int) -> int:
        return number

    @app.get("/long/header")
    async def header(x: Annotated[int, Header()] = 0) -> int:
        return x

    @app.get("/long/several")
    async def several(number: Annotated[list[int], Query()]) -> list[int]:
        return number

    @app.post("/long/embedded")
    async def embedded(one: Annotated[int, Body()], other: Annotated[int, Body()] = 2) -> int:
        return one + other

    @app.get("/long/background")
    async def background(tasks: BackgroundTasks) -> int:
        return len(tasks.tasks)

    @app.get("/long/set")
    async def set_headers(response: Response) -> int:
        response.headers["x-set"] = "1"
        return 1

    return app


def shortened(change: Callable[[FastAPI], None] = lambda app: None) -> FastAPI:
    app = make_app()
    change(app)
    take_shortcuts(app.routes)
    return app


LONG, SHORT = make_app(), shortened()


def ask(
    app: FastAPI, method: str, path: str, query: str = "", body: bytes | None = None, kind: str = ""
) -> Answer:
    """What the application sends, and how it fails."""
    sent: list[Any] = []
    headers = [(b"content-type", kind.encode())] if kind else []
    chunks = [] if body is None else [body[:3], body[3:]]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers,
        "root_path": "",
    }

    async def receive() -> Any:
        if not chunks:
            return {"type": "http.disconnect"} if body is not None else {"type": "http.request"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> str:
        try:
            await app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - both must fail alike
            return repr(error) + str(error)
        return ""

    failure = asyncio.run(run())
    return [*sent, scope.get("log")], failure


def check(*request: Any, **body: Any) -> Answer:
    expected = ask(LONG, *request, **body)
    assert ask(SHORT, *request, **body) == expected
    return expected


WORDS = [
    "0",
    "1",
    "2",
    "7",
    "13",
    "-1",
    "1.5",
    "x",
    "",
    "true",
    "no",
    "red",
    "a",
    "b",
    "nobody",
    "ada",
    "1" * 30,
]
WORDS += ["12345678123456781234567812345678", "null", "%20", "\N{SNOWMAN}"]
NAMES = ["flag", "colour", "of-kind", "key", "price", "name", "limit", "number", "dry", "kind"]
PATHS = ["/simple/{}", "/limits/{}", "/depending", "/items", "/items/{}", "/response/{}", "/inner/{}"]
PATHS += ["/long/thread/{}", "/long/header", "/long/several", "/long/embedded", "/long/background", "/long/set"]
queries = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(WORDS)), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(width=32) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "price", "x"]), inner),
    max_leaves=5,
)
items = st.fixed_dictionaries(
    {"name": st.sampled_from(["odd", "pear", "cucumber"])}, optional={"price": json_values}
)
bodies = st.one_of(
    st.none(),
    st.binary(max_size=8),
    (items | st.lists(items, max_size=2) | json_values).map(lambda value: json.dumps(value).encode()),
)
kinds = st.sampled_from(
    ["application/json"] * 5 + ["", "text/plain", "application/json; charset=utf-8", "a/x+json"]
)


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.sampled_from(PATHS),
    st.sampled_from(WORDS),
    queries,
    bodies,
    kinds,
)
def test_the_answers_are_fastapis(
    method: str, path: str, word: str, query: list[tuple[str, str]], body: bytes | None, kind: str
) -> None:
    """Status, headers, body, error and the calls of dependencies are the same with and without shortcut."""
    check(method, path.format(word), "&".join(f"{name}={value}" for name, value in query), body=body, kind=kind)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("GET", "/simple/1", "flag=yes&colour=red"), 200),
        (("GET", "/simple/x", "flag=maybe"), 422),
        (("GET", "/limits/2", "of-kind=b&price=1.5"), 200),
        (("GET", "/limits/1", ""), 422),
        (("GET", "/limits/2", "kind=b"), 422),
        (("GET", "/depending", "name=ada&limit=5"), 200),
        (("GET", "/depending", "name=nobody"), 401),
        (("GET", "/depending", "name=ada&number=x"), 422),
        (("POST", "/items", "dry=1", b'{"name": "pear", "price": 2}', "application/json"), 201),
        (("POST", "/items", "", b'{"name": "pear"', "application/json"), 422),
        (("POST", "/items", "", b"", "application/json"), 422),
        (("POST", "/items", "", b'{"name": "pear"}', "text/plain"), 422),
        (("PUT", "/items/7", "", b"[]", "application/json"), 409),
        (("DELETE", "/items/1"), 204),
        (("GET", "/response/202"), 202),
        (("GET", "/inner/1", "name=ada"), 200),
        (("GET", "/inner/1", ""), 422),
    ],
)
def test_the_usual_answers(request_: tuple[Any, ...], status: int) -> None:
    """Those that the random requests may miss."""
    (start, *_), failure = check(*request_)
    assert (start["status"], failure) == (status, "")


def test_an_answer_that_does_not_fit_fails_alike() -> None:
    """The error names the route's function, its file and line, and the path."""
    _, failure = check("POST", "/items", "", b'{"name": "odd"}', "application/json")
    assert "ResponseValidationError" in failure
    assert f"{__file__}" in failure
    assert "POST /items" in failure


def test_simple_routes_have_a_shortcut_and_only_they() -> None:
    """A router's too; where a parameter or a dependency is of another kind, FastAPI's way is kept."""
    found = {
        getattr(route, "path", None): isinstance(route.app, Shortcut)
        for route in [*SHORT.routes, *_included(SHORT)]
        if getattr(route, "dependant", None) is not None
    }
    short = {
        path for path in found if path.split("/")[1] in {"simple", "limits", "depending", "items", "response"}
    }
    assert len(found) == 13
    assert {path for path, is_short in found.items() if is_short} == short | {"/inner/{number}"}


def _included(app: FastAPI) -> list[Any]:
    return [one for route in app.routes for one in getattr(route, "effective_route_contexts", list)()]


def test_overridden_dependencies_are_called() -> None:
    """``dependency_overrides`` are looked for at each request, as tests set and reset them."""
    app = shortened()
    app.dependency_overrides[who] = lambda: "somebody else"
    assert b"somebody else" in ask(app, "GET", "/depending", "name=ada")[0][1]["body"]
    app.dependency_overrides.clear()
    assert ask(app, "GET", "/depending", "name=ada") == ask(LONG, "GET", "/depending", "name=ada")


def test_a_route_class_of_ones_own_is_kept() -> None:
    """A class that handles its routes itself goes on doing so."""

    class Shouting(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            handle = super().get_route_handler()

            async def shout(request: Request) -> Response:
                response = await handle(request)
                return PlainTextResponse(bytes(response.body).upper())

            return shout

    def add(app: FastAPI) -> None:
        app.router.route_class = Shouting

        @app.get("/shout")
        async def shout() -> str:
            return "hello"

    assert ask(shortened(add), "GET", "/shout")[0][1]["body"] == b'"HELLO"'


def test_what_stands_in_the_place_of_fastapis_functions_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that replaces FastAPI's dependency solving sees every request."""
    seen: list[str] = []
    solve = routing.solve_dependencies

    async def traced(**arguments: Any) -> Any:
        seen.append(arguments["request"].url.path)
        return await solve(**arguments)

    monkeypatch.setattr(routing, "solve_dependencies", traced)
    ask(shortened(), "GET", "/simple/1")
    assert seen == ["/simple/1"]


@pytest.mark.parametrize("name", ["_extract_endpoint_context", "request_response"])
def test_a_fastapi_that_is_built_otherwise_answers_its_own_way(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What a coming version has not got costs the shortcut, not the start of the application."""
    app = make_app()
    monkeypatch.delattr(routing, name)
    take_shortcuts(app.routes)
    assert not any(isinstance(getattr(route, "app", None), Shortcut) for route in app.routes)


def test_a_client_that_has_gone_is_answered_alike() -> None:
    """Who leaves in the middle of the body is a bad request, as without shortcut."""

    def leave(app: FastAPI) -> Any:
        beginning = {"type": "http.request", "body": b'{"name": "pear"}', "more_body": True}
        messages = [beginning, {"type": "http.disconnect"}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/items", "query_string": b"", "headers": headers}
        asyncio.run(app(scope, receive, send))
        return sent

    assert leave(SHORT) == leave(LONG)
    assert leave(SHORT)[0]["status"] == 400
