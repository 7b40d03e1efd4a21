"""Blocking code with a sync session, beside async code, on one pool."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Post, User
from sqlawait import Database


async def test_a_blocking_function_gets_a_real_session(db: Database) -> None:
    """It runs in another thread, with SQLAlchemy's sync Session, lazy loads included, and is committed."""

    def work(session: Session, email: str) -> tuple[str, list[str], bool]:
        assert type(session) is Session
        user = User(email=email, posts=[Post(title="one"), Post(title="two")])
        session.add(user)
        session.flush()
        session.expire_all()
        titles = [post.title for post in user.posts]  # a lazy load, as sync code does
        return user.email, titles, threading.current_thread() is threading.main_thread()

    assert await db.run_sync(work, "ada@example.com") == ("ada@example.com", ["one", "two"], False)
    async with db.session() as session:
        assert await session.count(Post) == 2


async def test_an_exception_rolls_back_and_comes_through(db: Database) -> None:
    """As in a transaction of one's own."""

    def work(session: Session) -> None:
        session.add(User(email="ada@example.com"))
        session.flush()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.run_sync(work)
    async with db.session() as session:
        assert await session.count(User) == 0


async def test_a_cancelled_caller_waits_for_the_end(db: Database) -> None:
    """A thread cannot be stopped: its connection stays its own, and what it has committed is told as done."""
    running = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = threading.Event()

    def work(session: Session) -> str:
        session.add(User(email="ada@example.com"))
        session.flush()
        loop.call_soon_threadsafe(running.set)
        assert go_on.wait(10)
        session.add(User(email="bob@example.com"))
        return "done"

    caller = asyncio.create_task(db.run_sync(work))
    await running.wait()
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    assert db.engine.pool.checkedout() == 1
    go_on.set()
    assert await caller == "done"
    async with db.session() as session:
        assert await session.count(User) == 2


async def test_the_event_loop_stays_free(db: Database) -> None:
    """While blocking code blocks, async requests are served."""
    release = threading.Event()

    def work(session: Session) -> int:
        session.scalars(select(User)).all()
        release.wait(10)
        return 1

    blocked = asyncio.create_task(db.run_sync(work))
    for number in range(5):
        async with db.transaction(deferred=True) as session:
            assert await session.count(User) == 0, number
    release.set()
    assert await blocked == 1


async def test_neither_side_starves_the_other(url: str) -> None:
    """Many blocking functions and many async sessions on a small pool all come to their end."""
    async with Database(url, pool_size=3, threads=2, pool_timeout=20) as db:

        def work(session: Session) -> int:
            time.sleep(0.005)  # blocking code blocks: that is what is under test
            return session.scalar(select(1))

        async def read() -> int | None:
            async with db.reader() as session:
                return await session.scalar(select(1))

        results = await asyncio.gather(*(db.run_sync(work) for _ in range(30)), *(read() for _ in range(30)))
        assert results == [1] * 60


async def test_no_more_functions_run_than_there_are_threads(url: str) -> None:
    """The bound is on what runs at once."""
    async with Database(url, pool_size=4, threads=2, pool_timeout=20) as db:
        running = 0
        most = 0
        lock = threading.Lock()

        def work(session: Session) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            session.scalar(select(1))
            time.sleep(0.005)
            with lock:
                running -= 1

        await asyncio.gather(*(db.run_sync(work) for _ in range(12)))
        assert most == 2
