"""The verbs, on all three databases."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, MultipleResultsFound
from sqlalchemy.orm import joinedload

from models import Counter, Post, User
from sqlawait import Database, NotFound, ReadOnly


async def test_create_gives_the_values_that_the_database_chose(db: Database) -> None:
    """Primary key, server default and Python default can be read at once, without a lazy load."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
        assert (user.id, user.name, user.level) == (1, "nobody", 1)


async def test_create_flushes_and_does_not_commit(db: Database) -> None:
    """What a verb has written is gone when its session closes without a commit."""
    async with db.session() as session:
        await session.create(User, email="ada@example.com")
        assert await session.count(User) == 1
    async with db.session() as session:
        assert await session.count(User) == 0


async def test_find_gives_the_row_or_none_and_refuses_to_choose(db: Database) -> None:
    """One match is returned, no match is None, several are an error."""
    async with db.transaction() as session:
        ada = await session.create(User, email="ada@example.com", name="Ada")
        await session.create(User, email="bob@example.com", name="Bob", level=7)
        await session.create(User, email="eve@example.com", name="Bob")
        assert await session.find(User, email="ada@example.com") is ada
        assert await session.find(User, email="nobody@example.com") is None
        assert (await session.find(User, User.level > 5, name="Bob")) is not None
        with pytest.raises(MultipleResultsFound):
            await session.find(User, name="Bob")
        assert [user.email for user in await session.find_all(User, name="Bob")] == [
            "bob@example.com",
            "eve@example.com",
        ]


async def test_first_one_all(db: Database) -> None:
    """first and all take what is there; one insists on exactly one."""
    async with db.transaction() as session:
        for number in range(3):
            await session.create(User, email=f"{number}@example.com")
        ordered = select(User).order_by(User.email.desc())
        first = await session.first(ordered)
        assert first is not None
        assert first.email == "2@example.com"
        assert [user.email for user in await session.all(ordered)] == [
            "2@example.com",
            "1@example.com",
            "0@example.com",
        ]
        assert (await session.one(ordered.where(User.email == "1@example.com"))).email == "1@example.com"
        assert await session.one(select(User.email).where(User.id == first.id)) == "2@example.com"
        assert await session.first(ordered.where(User.id < 0)) is None
        with pytest.raises(NotFound, match="User"):
            await session.one(ordered.where(User.id < 0))
        with pytest.raises(MultipleResultsFound):
            await session.one(ordered)


async def test_equal_values_are_not_taken_for_one(db: Database) -> None:
    """Values of columns stay one a row; objects with a joined collection come once each, with all of it."""
    async with db.transaction() as session:
        for number in range(3):
            user = await session.create(User, email=f"{number}@example.com", level=7)
            for title in ("one", "two"):
                await session.create(Post, user_id=user.id, title=title)
        session.expire_all()
        assert await session.all(select(User.level)) == [7, 7, 7]
        users = await session.all(select(User).options(joinedload(User.posts)).order_by(User.id))
        assert [len(user.posts) for user in users] == [2, 2, 2]
        assert len(await session.all(select(User).join(User.posts))) == 6


async def test_count_and_exists_take_a_model_or_a_select(db: Database) -> None:
    """Both count rows, with conditions by name, by expression and in the select itself."""
    async with db.transaction() as session:
        for number in range(5):
            await session.create(User, email=f"{number}@example.com", level=number % 2)
        assert await session.count(User) == 5
        assert await session.count(User, level=1) == 2
        assert await session.count(User, User.id > 3) == 2
        assert await session.count(select(User).where(User.level == 0)) == 3
        assert await session.count(select(User).where(User.level == 0), User.id > 1) == 2
        assert await session.count(select(User).limit(2)) == 2
        assert await session.exists(User, level=1)
        assert not await session.exists(User, level=9)
        assert await session.exists(select(User).where(User.level == 0))


async def test_update_stores_and_reads_what_the_database_computed(db: Database) -> None:
    """An onupdate expression can be read at once; an unknown attribute is refused by name."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
        await session.update(user, name="Ada")
        assert (user.name, user.changes) == ("Ada", 5)
        with pytest.raises(TypeError, match="nmae"):
            await session.update(user, nmae="Ada")


async def test_delete_removes_the_row(db: Database) -> None:
    """A deleted object's row is gone for the next statement."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
        await session.delete(user)
        assert await session.count(User) == 0


async def test_upsert_inserts_then_updates(db: Database) -> None:
    """The second upsert on the same key changes the row that is there."""
    async with db.transaction() as session:
        first = await session.upsert(User, on="email", email="ada@example.com", name="Ada")
        second = await session.upsert(User, on=User.email, email="ada@example.com", level=3)
        assert second is first
        assert (first.name, first.level) == ("Ada", 3)
        same = await session.upsert(User, on="email", email="ada@example.com")
        assert same is first
        by_key = await session.upsert(Counter, id=9, value=4)
        assert (await session.upsert(Counter, id=9, value=5)) is by_key
        assert by_key.value == 5
        with pytest.raises(TypeError, match="email"):
            await session.upsert(User, on="email", name="Ada")


async def test_bulk_insert_takes_a_generator(db: Database) -> None:
    """Rows are taken one by one, Python defaults are filled in, and the count comes back."""
    rows = ({"email": f"{number}@example.com", "name": "é"} for number in range(2_500))
    async with db.transaction() as session:
        assert await session.bulk_insert(User, rows) == 2_500
        assert await session.count(User, name="é", level=1) == 2_500
        assert await session.bulk_insert(User, []) == 0
        assert await session.bulk_insert(Counter, [{"amount": Decimal("1.25")}]) == 1
        assert await session.one(select(Counter.amount)) == Decimal("1.25")


async def test_bulk_insert_is_part_of_its_transaction(db: Database) -> None:
    """Rolled back with the rest, also where it is the transaction's first statement."""
    async with db.session() as session:
        await session.bulk_insert(User, [{"email": "a@example.com"}])
        await session.rollback()
        assert await session.count(User) == 0


async def test_bulk_insert_refuses_uneven_rows(db: Database) -> None:
    """A row with other names than the first is named, and nothing is stored."""
    async with db.session() as session:
        with pytest.raises(ValueError, match="row 1 differs from the first in name"):
            await session.bulk_insert(User, [{"email": "a", "name": "b"}, {"email": "c"}])
        await session.rollback()
        assert await session.count(User) == 0


async def test_bulk_insert_reports_a_constraint(db: Database) -> None:
    """A duplicate is an IntegrityError however the rows travel, and the transaction cannot be committed."""
    from sqlalchemy.exc import DBAPIError

    from sqlawait import Failure, failure_of

    async with db.session() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.bulk_insert(User, [{"email": "a"}, {"email": "a"}])
        assert failure_of(caught.value) is Failure.UNIQUE
        await session.rollback()


async def test_rows_that_are_read_anew_keep_the_relationships_that_were_loaded(db: Database) -> None:
    """``upsert`` and ``lock`` read the row again; what was loaded of it can still be touched."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
        post = await session.create(Post, user_id=user.id, title="One")
        await session.refresh(user, ["posts"])
        await session.refresh(post, ["user"])
        await session.upsert(User, on="email", email="ada@example.com", name="Ada")
        assert (user.name, user.posts) == ("Ada", [post])
        await session.lock(User, [user.id])
        await session.lock(Post, [post.id])
        assert (user.posts, post.user) == ([post], user)


async def test_what_a_changed_foreign_key_led_to_is_not_kept(db: Database) -> None:
    """A relationship that was loaded before the key was changed would be the wrong one."""
    async with db.transaction() as session:
        ada = await session.create(User, email="ada@example.com")
        ben = await session.create(User, email="ben@example.com")
        post = await session.create(Post, user_id=ada.id, title="One")
        await session.refresh(post, ["user"])
        await session.upsert(Post, id=post.id, user_id=ben.id, title="One")
        assert "user" not in post.__dict__


async def test_lock_gives_the_rows_in_the_order_asked_for(db: Database) -> None:
    """Rows come back as asked, repeats included; a missing one is NotFound."""
    async with db.transaction() as session:
        for number in (1, 2, 3):
            await session.create(Counter, id=number, value=number)
    async with db.transaction() as session:
        locked = await session.lock(Counter, [3, 1, 3])
        assert [counter.id for counter in locked] == [3, 1, 3]
        with pytest.raises(NotFound, match="Counter 4"):
            await session.lock(Counter, [1, 4])


async def test_a_constraint_is_sqlalchemys_error(db: Database) -> None:
    """Code written for SQLAlchemy keeps working: a duplicate is an IntegrityError."""
    async with db.session() as session:
        await session.create(User, email="ada@example.com")
        with pytest.raises(IntegrityError):
            await session.create(User, email="ada@example.com")


async def test_a_reader_refuses_to_write(db: Database) -> None:
    """Neither the unit of work nor a statement writes in a read-only session."""
    from sqlalchemy import insert

    async with db.reader() as session:
        assert await session.count(User) == 0
        session.add(User(email="ada@example.com"))
        with pytest.raises(ReadOnly):
            await session.flush()
        session.expunge_all()
        with pytest.raises(ReadOnly):
            await session.execute(insert(User).values(email="ada@example.com"))


async def test_relationships_load_when_asked(db: Database) -> None:
    """refresh with names loads a collection of an object that was just created."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
        await session.create(Post, user_id=user.id, title="one")
        await session.refresh(user, ["posts"])
        assert [post.title for post in user.posts] == ["one"]


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_close_gives_the_connection_back_from_within_savepoints(db: Database, depth: int) -> None:
    """Where a statement has failed in the innermost, and then the COMMIT."""
    session = db.session()
    for _ in range(depth):
        await session.begin_nested()
    await session.create(Counter, id=1)
    with pytest.raises(IntegrityError):
        await session.execute(insert(Counter).values(id=1))
    if db.dialect == "postgresql":
        with pytest.raises(DBAPIError):
            await session.commit()
    await session.close()
    assert db.engine.pool.checkedout() == 0
    async with db.session() as other:
        assert not await other.exists(Counter, id=1)
