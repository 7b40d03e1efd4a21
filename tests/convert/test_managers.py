"""Generators that are made context managers where they are used, and coroutines that are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

SOURCE = """
import asyncio
from contextlib import contextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

app = FastAPI()
Maker = sessionmaker(create_engine("sqlite:///app.db"))


def get_db(config):
    db = Maker()
    try:
        yield db
    finally:
        db.close()


@app.on_event("startup")
async def start():
    manager = contextmanager(get_db)

    def write(counts):
        with manager("config") as db:
            db.execute(text("delete from counts"))
            db.commit()

    async def task():
        while True:
            await run_in_threadpool(write, {"a": 1})

    app.state.task = asyncio.create_task(task())
"""


def test_managers(convert: Callable[..., Result], tmp_path: Path) -> None:
    """``contextmanager(f)`` follows ``f``; what was a coroutine before stays one that somebody keeps."""
    result = convert({"module.py": SOURCE})
    found = result.changes[tmp_path / "module.py"][1]
    assert "    manager = asynccontextmanager(get_db)" in found
    assert '        async with manager("config") as db:' in found
    assert '            await db.execute(text("delete from counts"))' in found
    assert '            await write({"a": 1})' in found
    assert "    app.state.task = asyncio.create_task(task())" in found
    assert result.todos == []
    (tmp_path / "module.py").write_text(found)
    assert convert({}).changes == {}


@pytest.mark.parametrize("module", ["contextlib.AbstractContextManager", "typing.ContextManager"])
def test_managers_that_an_annotation_promises(
    convert: Callable[..., Result], tmp_path: Path, module: str
) -> None:
    """What an object is given to make its sessions is entered with await, and its annotation says so."""
    source, _, name = module.partition(".")
    result = convert(
        {
            "module.py": f"""
        from typing import Callable
        from {source} import {name}

        from fastapi import Depends
        from container import Container
        from sqlalchemy import text
        from sqlalchemy.orm import Session


        class Users:
            def __init__(self, make: Callable[..., {name}[Session]]) -> None:
                self.make = make

            def connect(self) -> {name}[Session]:
                return self.make()

            def count(self):
                with self.make() as db:
                    return db.scalar(text("1"))

            def commit(self):
                with self.connect() as db:
                    db.commit()
        """
        }
    )
    found = result.changes[tmp_path / "module.py"][1]
    wanted = name.replace("Context", "AsyncContext")
    assert f"from {source} import {wanted}" in found
    assert f"make: Callable[..., {wanted}[AsyncSession]]" in found
    assert f"    def connect(self) -> {wanted}[AsyncSession]:" in found
    assert "async with self.make() as db:\n            return await db.scalar" in found
    assert "async with self.connect() as db:\n            await db.commit" in found
    assert result.todos == []
