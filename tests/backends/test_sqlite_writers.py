"""The writers of several processes: each gets its turn, and none waits for one that is dead."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sqlawait.backends.sqlite_writers import WritersTurn

GREEDY = """
import asyncio, sys
from sqlawait.backends.sqlite_writers import WritersTurn

async def main():
    turn, info = WritersTurn(60, sys.argv[1]), {}
    while True:
        await turn.take(info)
        print("has it", flush=True)
        await asyncio.sleep(0.03)
        turn.give(info)

asyncio.run(main())
"""
"""A process that has written wants to write again at once, for ever."""


@contextmanager
def greedy(database: Path) -> Iterator[subprocess.Popen[str]]:
    """It has the turn when the block begins, and is killed at its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", GREEDY, str(database)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file: what is in it does not matter here."""
    path = tmp_path / "shop.db"
    path.touch()
    return path


async def test_a_process_that_wants_more_lets_another_in(database: Path) -> None:
    """It had the lock when the other came; the other is next, not sooner or later."""
    turn = WritersTurn(60, str(database))
    for _ in range(2):
        with greedy(database) as process:
            info: dict[Any, Any] = {}
            await turn.take(info)
            process.kill()
            assert process.stdout is not None
            # the one under way when the other came, and one that may have begun before the other had looked
            assert len(process.stdout.readlines()) <= 2
            turn.give(info)
    turn.close()


async def test_the_turn_of_a_process_that_was_killed_is_free(database: Path) -> None:
    """The kernel takes it back."""
    with greedy(database):
        pass
    turn = WritersTurn(60, str(database))
    info: dict[Any, Any] = {}
    await turn.take(info)
    turn.give(info)
    turn.close()


async def test_writers_of_a_process_are_served_in_their_order(database: Path) -> None:
    """Also when some give up while they wait; and the lock is free at the end."""
    turn = WritersTurn(60, str(database))
    served: list[int] = []

    async def write(number: int) -> None:
        info: dict[Any, Any] = {}
        try:
            await turn.take(info)
            served.append(number)
            await asyncio.sleep(0)
        finally:
            turn.give(info)

    tasks = [asyncio.create_task(write(number)) for number in range(30)]
    await asyncio.sleep(0)
    for task in tasks[1::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == sorted(served)
    assert set(served) >= set(range(0, 30, 2))
    turn.close()
    with greedy(database):
        pass


async def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path) -> None:
    """Processes then wait for each other in SQLite's way."""
    turn = WritersTurn(60, str(tmp_path / "missing" / "shop.db"))
    info: dict[Any, Any] = {}
    await turn.take(info)
    turn.give(info)
    turn.close()
