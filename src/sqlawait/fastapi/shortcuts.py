"""A shorter way to a route's function than FastAPI's own.

FastAPI works out anew for each request what a route's parameters and dependencies are: for one parameter and
one dependency 100 µs, which is more than PostgreSQL takes for a row. Where they are simple (every dependency a
coroutine function, every parameter a single value of the path or the query, or a JSON body) they are known when
the application starts, and a valid request is answered without that work.

Everything else goes FastAPI's own way: a route with a parameter of another kind always, and a request that is
not valid, or out of the ordinary, before anything has been run for it. So no answer differs, a 422 neither.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import FunctionType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from fastapi import params, routing
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from fastapi.utils import is_body_allowed_for_status_code
from pydantic_core import PydanticUndefined
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SINGLE = {str, int, float, bool, Decimal, UUID, date, datetime, time, timedelta, NoneType}

_PASSED_OVER = (
    "get_request_handler",
    "request_response",
    "run_endpoint_function",
    "serialize_response",
    "solve_dependencies",
)

_VALUES = "sqlawait.values"


class _NoShortcut(Exception):
    """A route, or a request, that only FastAPI's own way is for."""


def take_shortcuts(routes: Iterable[Any]) -> None:
    """Give each route its shortcut, if it can have one.

    Parameters:
        routes: all those of an application: ``app.routes``.
    """
    if not all(_is_fastapis(getattr(routing, name, None)) for name in _PASSED_OVER):
        return  # somebody, such as a tracer, has put another in its place and wants to be called
    for route in _flat(routes):
        try:
            route.app = Shortcut(route)
        except (_NoShortcut, AttributeError, TypeError):  # the last two: a FastAPI that is built otherwise
            continue


def _is_fastapis(function: Any) -> bool:
    return type(function) is FunctionType and function.__globals__["__name__"].startswith("fastapi.")


def _flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Also the routes of routers that were included, which FastAPI no longer copies."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from (
                one for one in route.effective_route_contexts() if isinstance(one.original_route, APIRoute)
            )


class Shortcut:
    """The ASGI application of a route, with FastAPI's own for whatever it cannot do itself.

    Parameters:
        route: an ``APIRoute``, or what an included router holds in the place of one.
    """

    def __init__(self, route: Any) -> None:
        kind = type(getattr(route, "original_route", route))
        if kind.get_route_handler is not APIRoute.get_route_handler or not _is_fastapis(route.app):
            raise _NoShortcut  # a class of routes that handles them in its own way
        self._long_way: ASGIApp = route.app
        self._short_way: ASGIApp = routing.request_response(self._respond)
        self._application = route.dependency_overrides_provider
        self._function = _Function(route.dependant)
        self._answer = _Answer(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if "fastapi.telemetry" in scope or getattr(self._application, "dependency_overrides", None):
            await self._long_way(scope, receive, send)
            return
        content = None
        if self._function.has_body and _is_json(scope):
            body = _Body(receive)
            content = await body.read()
            receive = body.receive
        try:
            scope[_VALUES] = self._function.values(scope, content)
        except Exception:  # noqa: BLE001 - whatever it is, FastAPI comes to it in its own way, and tells it
            await self._long_way(scope, receive, send)
        else:
            await self._short_way(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        answer = await self._function.call(request, request.scope.pop(_VALUES))
        return answer if isinstance(answer, Response) else await self._answer.response(answer, request)


class _Function:
    """A route's function with its dependencies, in the order in which FastAPI calls them."""

    def __init__(self, dependant: Any) -> None:
        self._fields: list[_Field] = []
        self._calls: list[_Call] = []
        self.has_body = bool(dependant.body_params)
        flat = list(_tree(dependant))
        if sum(len(one.body_params) for one in flat) > self.has_body:
            raise _NoShortcut
        for one in flat:
            self._fields += [_Field.of(field) for field in _fields(one)]
        self._add(dependant, {}, iter(range(1, len(self._fields) + 1)))
        self._has_query = any(field.place == "query" for field in self._fields)

    def _add(self, dependant: Any, known: dict[Any, int], fields: Iterator[int]) -> int:
        """Append the calls of a dependency; gives the position of its value.

        The values are: the request, then the fields, then what the calls give.
        """
        arguments: dict[str, int] = {}
        for dependency in dependant.dependencies:
            place = self._add(dependency, known, fields)
            if dependency.name is not None:
                arguments[dependency.name] = place
        key = dependant.call, dependant.scope
        arguments |= {field.name: next(fields) for field in _fields(dependant)}
        for name in (dependant.http_connection_param_name, dependant.request_param_name):
            if name is not None:
                arguments[name] = 0
        if key not in known or not dependant.use_cache:
            self._calls.append(_Call(dependant.call, tuple(arguments.items())))
            place = len(self._fields) + len(self._calls)
            known.setdefault(key, place)
            return place
        return known[key]

    def values(self, scope: Scope, content: bytes | None) -> list[Any]:
        """What the request holds for the fields.

        Raises:
            Exception: it is not valid.
        """
        query: Mapping[str, str] = {}
        if self._has_query and scope["query_string"]:
            query = QueryParams(scope["query_string"])
        places = {"path": scope["path_params"], "query": query}
        if content is not None:
            places["body"] = {"": json.loads(content)}
        return [field.value(places) for field in self._fields]

    async def call(self, request: Request, values: list[Any]) -> Any:
        """Call the dependencies and the function; gives its answer."""
        values = [request, *values]
        for call in self._calls:
            values.append(await call.function(**{name: values[place] for name, place in call.arguments}))
        return values[-1]


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[..., Any]
    arguments: tuple[tuple[str, int], ...]
    """The names of the parameters, and the positions of their values."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter that the request gives."""

    place: str
    alias: str
    default: Any
    validate: Callable[..., tuple[Any, Any]]

    @classmethod
    def of(cls, field: Any) -> _Field:
        """What FastAPI says of a parameter, if it is a simple one."""
        info = field.field_info
        if isinstance(info, params.Body):
            if isinstance(info, params.Form) or info.embed:
                raise _NoShortcut
            return cls("body", "", PydanticUndefined, field.validate)
        if (
            not isinstance(info, (params.Path, params.Query))
            or not _is_single(info.annotation)
            or not isinstance(info.validation_alias, (str, NoneType))
            or info.default_factory is not None
            or info.validate_default
            or (info.default is not PydanticUndefined and not _is_single(type(info.default)))
        ):
            raise _NoShortcut
        return cls(info.in_.value, info.validation_alias or field.alias, info.default, field.validate)

    def value(self, places: Mapping[str, Mapping[str, Any]]) -> Any:
        """Its value in a request.

        Raises:
            Exception: it is not valid, or missing.
        """
        found = places[self.place].get(self.alias, PydanticUndefined)
        if found is PydanticUndefined:
            if self.default is PydanticUndefined:
                raise _NoShortcut
            return self.default
        value, errors = self.validate(found, {}, loc=())
        if errors:
            raise _NoShortcut
        return value


class _Answer:
    """What FastAPI makes of an answer that is not yet a response."""

    def __init__(self, route: Any) -> None:
        self._path = route.dependant.path
        self._context = routing._extract_endpoint_context(route.dependant.call)
        usual = isinstance(route.response_class, DefaultPlaceholder)
        self._written = usual and route.response_field is not None
        self._class = route.response_class.value if usual else route.response_class
        self._arguments = {} if route.status_code is None else {"status_code": route.status_code}
        if self._written:
            self._class = Response
            self._arguments["media_type"] = "application/json"
        self._options = {
            "field": route.response_field,
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
            "dump_json": self._written,
        }

    async def response(self, answer: Any, request: Request) -> Response:
        """The response; raises as FastAPI does where the answer is not what the response model allows."""
        context = self._context.copy()
        context["path"] = f"{request.method} {request.scope.get('root_path', '').rstrip('/')}{self._path}"
        content = await routing.serialize_response(
            response_content=answer, endpoint_ctx=context, **self._options
        )
        response: Response = self._class(content, **self._arguments)
        if not is_body_allowed_for_status_code(response.status_code):
            response.body = b""
        return response


class _Body:
    """The body of a request, read ahead; who receives it afterwards receives it from its beginning."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[Message] = []

    async def read(self) -> bytes | None:
        """All of it; None where the client has gone."""
        while True:
            message = await self._receive()
            self._read.append(message)
            if message["type"] != "http.request":
                return None
            if not message.get("more_body"):
                return b"".join(one.get("body", b"") for one in self._read)

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        return self._read.pop(0) if self._read else await self._receive()


def _tree(dependant: Any) -> Iterator[Any]:
    """A dependency and all that it stands on, the first to be called first; refuses what is not simple."""
    for one in dependant.dependencies:
        yield from _tree(one)
    if (
        not _is_coroutine_function(dependant.call)
        or dependant.header_params
        or dependant.cookie_params
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or dependant.own_oauth_scopes
        or getattr(dependant, "concurrency", None) is not None
    ):
        raise _NoShortcut
    yield dependant


def _fields(dependant: Any) -> list[Any]:
    return [*dependant.path_params, *dependant.query_params, *dependant.body_params]


def _is_coroutine_function(call: Any) -> bool:
    return inspect.iscoroutinefunction(type(call).__call__ if isinstance(call, SecurityBase) else call)


def _is_single(annotation: Any) -> bool:
    """Whether a parameter of this type has one value, which is never changed."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_single(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return all(map(_is_single, get_args(annotation)))
    return (
        origin is Literal
        or annotation in _SINGLE
        or (isinstance(annotation, type) and issubclass(annotation, Enum))
    )


def _is_json(scope: Scope) -> bool:
    return (
        next((value for name, value in scope["headers"] if name == b"content-type"), None)
        == b"application/json"
    )


__all__ = ["take_shortcuts"]
