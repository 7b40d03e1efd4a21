"""What the tests of shaped reads share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.shape.tables import Base

from sqlawait import Database


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    """A database with the tables of these tests, empty."""
    async with Database(url) as database:
        await database.create_all(Base.metadata)
        yield database
