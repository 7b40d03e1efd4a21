"""Independent reads at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import Text, cast, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import joinedload, with_loader_criteria

from models import Base, Post, User
from sqlawait import Database
from sqlawait.pool import FairPool


class UserOut(BaseModel):
    id: int
    email: str


def pool_of(db: Database) -> FairPool:
    assert isinstance(db.engine.pool, FairPool)
    return db.engine.pool


class Numbers(BaseModel):
    """What no row is."""

    email: int


async def filled(db: Database) -> None:
    async with db.transaction() as session:
        for number in range(1, 4):
            session.add(User(id=number, email=f"{number}@x", posts=[Post(title=f"post {number}")]))


async def test_results_come_in_order(db: Database) -> None:
    """Objects, values, rows and schemas, each in its place, and the objects belong to the session."""
    await filled(db)
    async with db.reader() as session:
        users, names, pairs, shaped, joined = await session.parallel(
            select(User).order_by(User.id),
            select(User.email).order_by(User.id.desc()),
            select(User.id, func.count(Post.id)).join(Post).group_by(User.id).order_by(User.id),
            (select(User).where(User.id == 2), UserOut),
            select(User).options(joinedload(User.posts)).order_by(User.id),
        )
        assert [user.id for user in users] == [1, 2, 3]
        assert all(user in session for user in users)
        assert names == ["3@x", "2@x", "1@x"]
        assert [tuple(pair) for pair in pairs] == [(1, 1), (2, 1), (3, 1)]
        assert shaped == [UserOut(id=2, email="2@x")]
        assert [user.posts[0].title for user in joined] == ["post 1", "post 2", "post 3"]
        assert joined[0] is users[0]
        assert await session.parallel() == []
    assert pool_of(db).checkedout() == 0


async def test_they_run_at_the_same_time(postgresql_url: str) -> None:
    """With connections free, each read has one of its own."""
    async with Database(postgresql_url) as db, db.reader() as session, asyncio.timeout(30):
        sleep: Any = select(func.pg_sleep(1))
        reads = asyncio.create_task(session.parallel(sleep, sleep, sleep))
        while pool_of(db).checkedout() < 3:  # noqa: ASYNC110 - the pool has no event for this
            assert not reads.done()
            await asyncio.sleep(0.01)
        await reads


async def test_they_see_one_snapshot(postgresql_url: str) -> None:
    """Rows committed while they run are seen by all of them or by none, however late each starts."""
    async with Database(postgresql_url, pool_size=4, threads=1) as db:
        await db.create_all(Base.metadata)
        late = select(func.count(User.id)).where(func.length(cast(func.pg_sleep(0.02), Text)) == 0)
        reads = [late, *[select(func.count(User.id))] * 6]

        async def write() -> None:
            for number in range(20):
                async with db.transaction() as session:
                    await session.create(User, email=f"{number}@x")

        writing = asyncio.create_task(write())
        while not writing.done():
            async with db.reader() as session:
                counts = await session.parallel(*reads)
            assert len({count for (count,) in counts}) == 1
        await writing


async def test_filters_of_the_session_are_heard(db: Database) -> None:
    """Who listens to the session's statements, as filters by tenant do, hears those of all connections."""
    await filled(db)
    async with db.reader() as session:

        @event.listens_for(session.sync_session, "do_orm_execute")
        def hide(state: Any) -> None:
            state.statement = state.statement.options(with_loader_criteria(User, User.id > 1))

        users, shaped = await session.parallel(
            select(User).order_by(User.id), (select(User).order_by(User.id), UserOut)
        )
        assert [user.id for user in users] == [user.id for user in shaped] == [2, 3]


async def test_own_changes_are_seen(db: Database) -> None:
    """A session with a transaction or changes runs them on its own connection."""
    await filled(db)
    async with db.session() as session:
        session.add(User(id=9, email="9@x"))
        users, count = await session.parallel(select(User).order_by(User.id), select(func.count(User.id)))
        assert (users[-1].id, count) == (9, [4])
        assert pool_of(db).checkedout() == 1


@pytest.mark.filterwarnings(  # SQLAlchemy 2.0 strands a connection that is cancelled while it is opened
    "ignore:.*deleted before being closed:ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
async def test_the_first_error_ends_all(db: Database) -> None:
    """One failing read cancels the others, is raised as itself, and no connection is lost."""
    await filled(db)
    async with db.reader() as session:
        with pytest.raises(DBAPIError):
            await session.parallel(
                select(User), select(text("no_such_column")).select_from(User), select(User), select(Post)
            )
        with pytest.raises(DBAPIError):
            await session.parallel(
                (select(User), UserOut), (select(User).where(text("no_such_column = 1")), UserOut), select(Post)
            )
        with pytest.raises(ValidationError):
            await session.parallel((select(User), Numbers), (select(User), UserOut), select(Post))
    assert (pool_of(db).checkedout(), pool_of(db).waiting()) == (0, 0)
    async with db.reader() as session:
        assert len((await session.parallel(select(User), select(Post)))[0]) == 3


async def test_ten_times_overload_ends(url: str) -> None:
    """Ten times as many callers as connections, each wanting several: all are answered."""
    async with Database(url, pool_size=4, pool_timeout=30, threads=1) as db:
        await db.create_all(Base.metadata)
        await filled(db)
        size = pool_of(db).size()
        most = 0

        def note(*_: Any) -> None:
            nonlocal most
            most = max(most, pool_of(db).checkedout())

        event.listen(db.engine.sync_engine, "before_cursor_execute", note)

        async def one() -> None:
            async with db.reader() as session:
                users, posts, count, shaped = await session.parallel(
                    select(User), select(Post), select(func.count(User.id)), (select(User), UserOut)
                )
                assert (len(users), len(posts), count, len(shaped)) == (3, 3, [3], 3)

        async with asyncio.timeout(60):
            await asyncio.gather(*(one() for _ in range(size * 10)))
        assert most <= size
        assert (pool_of(db).checkedout(), pool_of(db).waiting()) == (0, 0)


@pytest.mark.filterwarnings(  # SQLAlchemy 2.0 strands a connection that is cancelled while it is opened
    "ignore:.*deleted before being closed:ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
async def test_cancellation_leaks_nothing(db: Database) -> None:
    """Cancelled at any moment, the call gives all its connections back."""
    await filled(db)
    async with db.reader() as session:
        await session.parallel(select(User), select(Post))
    for steps in range(0, 60, 6):
        async with db.session() as session:
            shaped = (select(User), UserOut)
            task = asyncio.create_task(session.parallel(select(User), shaped, select(Post), shaped))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert pool_of(db).checkedout() == 0, f"after {steps} steps"
