"""What FastAPI sends: the judge of every shaped read."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Select
from sqlalchemy.orm import selectinload

from sqlawait.paging import Page
from sqlawait.session import AsyncSession


async def sent(session: AsyncSession, statement: Select[Any], model: Any, *paths: Any) -> bytes:
    """Load objects with ``paths`` of relationships, validate and write them, as FastAPI does with ``model``."""
    adapter = TypeAdapter(list[model])
    return adapter.dump_json(await validated(session, statement, model, *paths), by_alias=True)


async def validated(session: AsyncSession, statement: Select[Any], model: Any, *paths: Any) -> list[Any]:
    """Load objects with ``paths`` of relationships, and validate them."""
    objects = (await session.scalars(statement.options(*loaded(*paths)))).all()
    instances: list[Any] = TypeAdapter(list[model]).validate_python(objects, from_attributes=True)
    return instances


async def page(
    session: AsyncSession, statement: Select[Any], model: Any, *paths: Any, limit: int, cursor: str | None
) -> bytes:
    """A page of objects, validated and written as FastAPI does with ``Page[model]``."""
    found = await session.page(statement.options(*loaded(*paths)), limit=limit, cursor=cursor)
    adapter = TypeAdapter(Page[model])
    return adapter.dump_json(adapter.validate_python(found, from_attributes=True), by_alias=True)


def loaded(*paths: Any) -> list[Any]:
    """Loader options for paths of relationships."""
    options = []
    for path in paths:
        first, *rest = path if isinstance(path, tuple) else (path,)
        option = selectinload(first)
        for attribute in rest:
            option = option.selectinload(attribute)
        options.append(option)
    return options
