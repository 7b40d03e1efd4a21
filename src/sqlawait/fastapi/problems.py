"""Errors as ``application/problem+json`` (RFC 9457): what went wrong, what to do, and nothing secret."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, NoResultFound, SQLAlchemyError, StatementError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sqlawait.backends import Failure, failure_of
from sqlawait.exceptions import CommitUnknown, InvalidRequest, NotFound, SqlawaitError, Unsupported

logger = logging.getLogger("sqlawait")

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER = "1"
"""Seconds. A pool or a lock is free again in about that time; a database that restarts takes a few of them."""

_ANSWERS: dict[Failure, tuple[int, str]] = {
    Failure.UNIQUE: (409, "another row has the same value where it must be unique"),
    Failure.FOREIGN_KEY: (409, "the row refers to one that does not exist, or is still referred to"),
    Failure.NOT_NULL: (422, "a value that is required is missing"),
    Failure.CHECK: (422, "a value is outside of what the database allows"),
    Failure.BAD_DATA: (422, "a value does not fit its column"),
    Failure.DEADLOCK: (503, "another transaction was in the way; nothing was stored, try again"),
    Failure.SERIALIZATION: (503, "another transaction was in the way; nothing was stored, try again"),
    Failure.LOCK_TIMEOUT: (503, "a row stayed locked for too long; nothing was stored, try again"),
    Failure.STATEMENT_TIMEOUT: (503, "the database took too long; nothing was stored, try again"),
    Failure.POOL_EXHAUSTED: (503, "all connections are busy; nothing was stored, try again"),
    Failure.AWAY: (503, "the database cannot be reached; nothing was stored, try again"),
}


class Problem(BaseModel):
    """The body of an error."""

    type: str = Field(examples=["urn:sqlawait:unique"], description="What kind of problem, for programs.")
    title: str = Field(examples=["Conflict"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=[_ANSWERS[Failure.UNIQUE][1]], description="What went wrong, for people.")
    instance: str = Field(description="An opaque id of this occurrence; the server's log has it too.")
    errors: list[dict[str, Any]] | None = Field(default=None, description="Which input is wrong, and why.")


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response that tells of a problem.

    Parameters:
        status: the HTTP status.
        detail: what went wrong, for people.
        kind: what kind of problem, for programs: a URI.
        errors: which input is wrong, and why.
        headers: added to the response's own.
    """
    content = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": f"urn:uuid:{uuid4()}",
    }
    if errors is not None:
        content["errors"] = errors
    # ASCII only: an echoed name may hold a lone surrogate, which UTF-8 cannot encode
    body = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    response = Response(body, status, dict(headers or {}), MEDIA_TYPE)
    response.headers["x-problem-id"] = content["instance"]  # type: ignore[assignment] # a str, see above
    return response


def handle_errors(app: FastAPI) -> None:
    """Answer every error of the database, of the client and of the program with a problem."""
    app.add_exception_handler(SQLAlchemyError, _database_problem)
    app.add_exception_handler(SqlawaitError, _database_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(Exception, _program_problem)
    _describe_problems(app)


def _database_problem(request: Request, error: Exception) -> Response:
    response = _answer(error)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log(request, error, response)
    return response


def _answer(error: Exception) -> Response:
    if isinstance(error, NotFound):
        return problem(404, str(error), kind="urn:sqlawait:not-found")
    if isinstance(error, NoResultFound):
        return problem(404, "there is no such row", kind="urn:sqlawait:not-found")
    if isinstance(error, Unsupported):
        return problem(501, str(error), kind="urn:sqlawait:unsupported")
    if isinstance(error, CommitUnknown):
        return problem(
            500,
            "it is not known whether the change was stored; look before you repeat it,"
            " or repeat it with the same Idempotency-Key",
            kind="urn:sqlawait:commit-unknown",
        )
    kind = failure_of(error)
    if kind is None and isinstance(error, InvalidRequest):
        return problem(422, str(error), kind="urn:sqlawait:invalid-request")
    if kind is None:
        return problem(500, "the server could not do this; it is in its log", kind="urn:sqlawait:error")
    status, detail = _ANSWERS[kind]
    headers = {"Retry-After": _RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(status, detail, kind=f"urn:sqlawait:{kind.replace('_', '-')}", headers=headers)


def _log(request: Request, error: Exception, response: Response) -> None:
    # A driver's message may hold the row's values ("Key (email)=(…) already exists"), and so may the messages
    # that are chained to it: of a database's error only its kind and the frames are told.
    told = type(error).__name__
    if isinstance(error, DBAPIError):
        told += f" ({failure_of(error) or getattr(error.orig, 'sqlstate', None) or type(error.orig).__name__})"
    elif isinstance(error, StatementError):
        told += f" ({type(error.orig).__name__})"
    else:
        told += f": {error}"
    frames = ""
    if failure_of(error) is None:
        frames = "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
    route = getattr(request.scope.get("route"), "path", "?")  # the template: a path may hold what is secret
    # a 503 is load or an outage, for which the metrics are the place; the rest is for somebody to look at
    level = logging.WARNING if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE else logging.ERROR
    where = f"{request.method} {route}"
    logger.log(level, "%s: %s [%s]%s", where, told, response.headers["x-problem-id"], frames)


def _http_problem(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    if error.status_code in {204, 304} or error.status_code < HTTPStatus.OK:
        return Response(status_code=error.status_code, headers=error.headers)
    if isinstance(error.detail, str):
        return problem(error.status_code, error.detail, headers=error.headers)
    return problem(
        error.status_code,
        HTTPStatus(error.status_code).phrase,
        errors=error.detail if isinstance(error.detail, list) else [error.detail],
        headers=error.headers,
    )


def _validation_problem(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestValidationError)
    # the input itself is not sent back: it may be secret, and it may not be encodable
    errors = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    first = errors[0]
    detail = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return problem(422, detail, kind="urn:sqlawait:invalid-request", errors=errors)


def _program_problem(request: Request, error: Exception) -> Response:
    del request, error  # the server logs it
    return problem(500, "the server could not do this; it is in its log")


def _describe_problems(app: FastAPI) -> None:
    """Put the problem into OpenAPI, where FastAPI describes its own body of a 422."""
    describe = app.openapi
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}

    def openapi() -> dict[str, Any]:
        schema = describe()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        if "Problem" in schemas:
            return schema
        schemas["Problem"] = Problem.model_json_schema()
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        for path in schema.get("paths", {}).values():
            for operation in path.values():
                responses = operation.get("responses")
                if responses is None:
                    continue
                if "422" in responses:
                    responses["422"] = {"description": "The input is wrong", "content": content}
                responses["default"] = {"description": "A problem", "content": content}
        return schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend its document


__all__ = ["MEDIA_TYPE", "Problem", "handle_errors", "problem"]
