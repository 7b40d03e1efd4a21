"""What FastAPI sends: the judge of every shaped read."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Select
from sqlalchemy.orm import selectinload

from sqlawait.session import AsyncSession


async def sent(session: AsyncSession, statement: Select[Any], model: Any, *paths: Any) -> bytes:
    """Load objects with ``paths`` of relationships, validate and write them, as FastAPI does with ``model``."""
    options = []
    for path in paths:
        first, *rest = path if isinstance(path, tuple) else (path,)
        option = selectinload(first)
        for attribute in rest:
            option = option.selectinload(attribute)
        options.append(option)
    objects = (await session.scalars(statement.options(*options))).all()
    adapter = TypeAdapter(list[model])
    return adapter.dump_json(adapter.validate_python(objects, from_attributes=True), by_alias=True)
