"""Results that are too large for memory, one JSON object a line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Select
from starlette.responses import StreamingResponse

from sqlawait.session import AsyncSession

_BATCH = 500
"""Rows fetched, and sent, at once."""


def ndjson(session: AsyncSession, statement: Select[Any], schema: type[BaseModel]) -> StreamingResponse:
    """Stream a select as newline-delimited JSON (``application/x-ndjson``), in constant memory.

    Parameters:
        session: one that stays open while the body is sent: ``StreamSessionDep``.
        statement: what to send: a select of one mapped class, or of columns.
        schema: how a row looks.

    Example::

        @app.get("/users/export")
        async def export_users(session: StreamSessionDep) -> StreamingResponse:
            return ndjson(session, select(User).order_by(User.id), UserRead)
    """
    return StreamingResponse(_lines(session, statement, schema), media_type="application/x-ndjson")


async def _lines(
    session: AsyncSession, statement: Select[Any], schema: type[BaseModel]
) -> AsyncIterator[bytes]:
    single = len(statement.column_descriptions) == 1
    result = await session.stream(statement.execution_options(yield_per=_BATCH))
    try:
        async for rows in result.partitions(_BATCH):
            yield b"".join(
                schema.model_validate(row[0] if single else row, from_attributes=True)
                .model_dump_json(by_alias=True)
                .encode()
                + b"\n"
                for row in rows
            )
    finally:
        await result.close()


__all__ = ["ndjson"]
