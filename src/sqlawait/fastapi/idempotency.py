"""A request that may be sent again: done once, answered the same each time.

The key is stored in the transaction that does the work, so either both are in the database or neither is. That
is what makes it safe to repeat a request whose answer was lost, or whose commit has an unknown outcome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel
from sqlalchemy import DateTime, String, Text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response

from sqlawait.backends import Failure, failure_of
from sqlawait.database import Database
from sqlawait.exceptions import InvalidRequest
from sqlawait.session import AsyncSession

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Chosen by the client, new for each thing to do. The same key gives the same answer.",
    ),
]
"""The ``Idempotency-Key`` header; None where the client sent none."""


class KeyReused(InvalidRequest):
    """An idempotency key came again with another request."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request; use a new key for a new request")


class IdempotencyRecord:
    """The columns of the table of answers: mix it into a class of your own ``Base``.

    Example::

        class Answer(IdempotencyRecord, Base):
            __tablename__ = "answers"
    """

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), default=lambda: datetime.now(UTC), index=True
    )


async def once(
    db: Database,
    records: type[IdempotencyRecord],
    key: str | None,
    request: BaseModel,
    work: Callable[[AsyncSession], Awaitable[BaseModel]],
    *,
    status_code: int = 201,
) -> Response:
    """Do a request's work once, in one transaction that is retried on conflicts, and answer it.

    Parameters:
        db: the database.
        records: the mapped class of the answers.
        key: the client's key; without one the work is simply done.
        request: the request's body: the same key with another body is refused.
        work: does it and gives the answer's body. It may run several times before it commits.
        status_code: of the answer.

    Returns:
        The answer; a repeated one has the header ``Idempotent-Replayed: true``.

    Raises:
        KeyReused: the key came with another body.
        CommitUnknown: send the request again with the same key.
    """
    fingerprint = hashlib.sha256(f"{type(request).__name__}\n{request.model_dump_json()}".encode()).hexdigest()

    @wraps(work)  # transactions of the same work are those that collide
    async def attempt(session: AsyncSession) -> Response:
        if key is None:
            return _json((await work(session)).model_dump_json(by_alias=True), status_code)
        record = await session.get(records, key)
        if record is not None:
            return _replay(record, fingerprint)
        # the key first: a second request with it waits here until the first has committed, and then fails
        record = await session.create(records, key=key, fingerprint=fingerprint, status=status_code, body="")
        record.body = (await work(session)).model_dump_json(by_alias=True)
        return _json(record.body, status_code)

    try:
        return await db.run(attempt)
    except DBAPIError as error:
        if key is None or failure_of(error) is not Failure.UNIQUE:
            raise
        # another request with this key has won, or the work itself met a duplicate
        async with db.reader() as session:
            record = await session.get(records, key)
        if record is None:
            raise
        return _replay(record, fingerprint)


def _replay(record: IdempotencyRecord, fingerprint: str) -> Response:
    if record.fingerprint != fingerprint:
        raise KeyReused
    response = _json(record.body, record.status)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def _json(body: str, status: int) -> Response:
    return Response(body, status, media_type="application/json")


__all__ = ["IdempotencyKey", "IdempotencyRecord", "KeyReused", "once"]
