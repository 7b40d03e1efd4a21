"""Nearest neighbours on PostgreSQL and SQLite; a clear refusal on MySQL."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import MetaData, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

import sqlawait
from sqlawait import Database, Unsupported
from sqlawait.exceptions import ConfigurationError, InvalidRequest, InvalidVector
from sqlawait.vectors import MAX_DIMENSIONS, MAX_K, Vector, hnsw_index, nearest

DIMENSIONS = 5


class Base(DeclarativeBase):
    pass


class Thing(Base):
    """One vector column for each metric."""

    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    group: Mapped[int]
    cosine: Mapped[list[float]] = mapped_column(Vector(DIMENSIONS))
    l2: Mapped[list[float]] = mapped_column(Vector(DIMENSIONS, "l2"))
    inner: Mapped[list[float]] = mapped_column(Vector(DIMENSIONS, "inner_product"))
    maybe: Mapped[list[float] | None] = mapped_column(Vector(DIMENSIONS, "l2"))


for column in (Thing.cosine, Thing.l2, Thing.inner):
    hnsw_index(column)


def vectors(count: int) -> list[list[float]]:
    random = Random(3)
    return [[random.uniform(-1, 1) for _ in range(DIMENSIONS)] for _ in range(count)]


@pytest.fixture(params=["sqlite", "postgresql"])
async def db(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A database that can search, with 300 things in it."""
    async with Database(request.getfixturevalue(f"{request.param}_url"), pool_size=2, threads=1) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            for number, vector in enumerate(vectors(300)):
                session.add(
                    Thing(id=number, group=number % 3, cosine=vector, l2=vector, inner=vector, maybe=None)
                )
        yield db


def distance(metric: str, one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return {
        "l2": math.dist(one, other),
        "inner": -dot,
        "cosine": 1 - dot / math.hypot(*one) / math.hypot(*other),
    }[metric]


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner"])
async def test_nearest_by_each_metric(db: Database, metric: str) -> None:
    """The same neighbours in the same order as by arithmetic, with their distances."""
    query = [0.3, -0.2, 0.9, 0.0, 0.1]
    wanted = sorted((distance(metric, query, vector), number) for number, vector in enumerate(vectors(300)))
    async with db.session() as session:
        await session.execute(text("SELECT 1"))
        found = (await session.execute(nearest(getattr(Thing, metric), query, 10))).all()
    assert [thing.id for thing, _ in found] == [number for _, number in wanted[:10]]
    assert [row.distance for row in found] == pytest.approx([far for far, _ in wanted[:10]], abs=1e-5)


async def test_vectors_come_back_as_stored(db: Database) -> None:
    """A list of floats with the precision of 32 bits; NULL is None, and no neighbour."""
    async with db.session() as session:
        thing = await session.get_one(Thing, 7)
        assert isinstance(thing.l2, list)
        assert thing.l2 == pytest.approx(vectors(300)[7], rel=1e-6)
        assert thing.maybe is None
        assert (await session.execute(nearest(Thing.maybe, [0.0] * DIMENSIONS))).all() == []
        thing.l2 = [2.0] * DIMENSIONS
        await session.commit()
        (found, far), *_ = (await session.execute(nearest(Thing.l2, [2.0] * DIMENSIONS, 1))).all()
        assert (found.id, far) == (7, 0)


async def test_vectors_are_inserted_in_bulk(db: Database) -> None:
    """Though the driver has no form of them for COPY."""
    rows = [
        {"id": 1000 + number, "group": 9, "cosine": vector, "l2": vector, "inner": vector, "maybe": None}
        for number, vector in enumerate(vectors(20))
    ]
    async with db.transaction() as session:
        assert await session.bulk_insert(Thing, rows) == 20
        assert await session.count(Thing, group=9) == 20


async def test_nearest_is_a_select(db: Database) -> None:
    """It takes conditions, aliases and shapes like any other select."""
    other = aliased(Thing)
    async with db.reader() as session:
        rows = (await session.execute(nearest(other.l2, vectors(1)[0], 5).where(other.group == 1))).all()
        assert [thing.group for thing, _ in rows] == [1] * 5
        inner = nearest(Thing.l2, vectors(1)[0], 3).subquery()
        assert await session.count(select(inner.c.id)) == 3


async def test_index_answers_with_as_many_as_asked(postgresql_url: str) -> None:
    """PostgreSQL uses the HNSW index, also for more neighbours than it looks at by default (40)."""
    async with Database(postgresql_url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            for number, vector in enumerate(vectors(1000)):
                session.add(Thing(id=number, group=0, cosine=vector, l2=vector, inner=vector))
        async with db.session() as session:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            statement = nearest(Thing.cosine, vectors(1)[0], 200)
            compiled = statement.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
            plan = "\n".join((await session.scalars(text(f"EXPLAIN {compiled}"))).all())
            assert "ix_things_cosine" in plan
            assert len((await session.execute(statement)).all()) == 200


async def test_mysql_stores_and_refuses_to_search(mysql_url: str) -> None:
    """On MySQL the column holds its vectors; a search is Unsupported and says where it is possible."""
    async with Database(mysql_url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            vector = vectors(1)[0]
            await session.create(Thing, id=1, group=1, cosine=vector, l2=vector, inner=vector)
        async with db.session() as session:
            assert (await session.get_one(Thing, 1)).l2 == pytest.approx(vector, rel=1e-6)
            with pytest.raises(Unsupported, match=r"(MySQL|MariaDB) cannot do .* use PostgreSQL"):
                await session.execute(nearest(Thing.l2, vector))


BAD = {
    "short": [1.0] * (DIMENSIONS - 1),
    "long": [1.0] * (DIMENSIONS + 1),
    "nan": [math.nan] * DIMENSIONS,
    "infinite": [1.0, math.inf, 0, 0, 0],
    "huge": [1e39, 0, 0, 0, 0],
    "integer": [10**400, 0, 0, 0, 0],
    "zeros": [0.0] * DIMENSIONS,
    "vanishing": [1e-60] * DIMENSIONS,
    "letters": ["a"] * DIMENSIONS,
    "number": 5,
    "nested": [[1.0]] * DIMENSIONS,
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_query_vector_is_checked(value: Any) -> None:
    """A vector that does not fit is refused before anything is sent."""
    with pytest.raises(InvalidVector):
        nearest(Thing.cosine, value)


async def test_stored_vector_is_checked(url: str) -> None:
    """A vector that does not fit its column is an InvalidVector at flush, on every database."""
    async with Database(url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        for value in (BAD["short"], BAD["nan"], BAD["zeros"]):
            async with db.session() as session:
                with pytest.raises(InvalidVector):
                    await session.create(Thing, group=1, cosine=value, l2=vectors(1)[0], inner=vectors(1)[0])


@pytest.mark.parametrize("k", [0, -1, MAX_K + 1])
def test_k_is_capped(k: int) -> None:
    """Nobody asks for no neighbour, or for all of them."""
    with pytest.raises(InvalidRequest):
        nearest(Thing.l2, [0.0] * DIMENSIONS, k)


def test_mistakes_in_the_model_are_configuration_errors() -> None:
    """A dimension or metric that cannot be, an index that pgvector cannot build, a column of another type."""

    class Wide(DeclarativeBase):
        metadata = MetaData()

    class Document(Wide):
        __tablename__ = "documents"
        id: Mapped[int] = mapped_column(primary_key=True)
        embedding: Mapped[list[float]] = mapped_column(Vector(2001))

    with pytest.raises(ConfigurationError, match="2,000"):
        hnsw_index(Document.embedding)
    with pytest.raises(ConfigurationError, match="not a column of type Vector"):
        nearest(Document.id, [1.0])
    for dimensions in (0, MAX_DIMENSIONS + 1):
        with pytest.raises(ConfigurationError, match="dimensions"):
            Vector(dimensions)
    with pytest.raises(ConfigurationError, match="no metric"):
        Vector(3, "manhattan")  # type: ignore[arg-type] # the mistake that is tested


async def test_alembic_makes_the_tables_and_finds_nothing_more(url: str) -> None:
    """What autogenerate writes runs on each database, extension and index included, and is then complete."""
    async with Database(url, pool_size=1) as db:

        def migrate(connection: sqlalchemy.Connection) -> str:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            script = produce_migrations(context, Base.metadata)
            assert script.upgrade_ops is not None
            code = render_python_code(script.upgrade_ops)
            with Operations.context(context) as op:
                for operation in script.upgrade_ops.ops:
                    for step in getattr(operation, "ops", [operation]):
                        op.invoke(step)
            again = produce_migrations(context, Base.metadata)
            assert again.upgrade_ops is not None
            assert again.upgrade_ops.is_empty(), render_python_code(again.upgrade_ops)
            return code

        async with db.engine.begin() as connection:
            code = await connection.run_sync(migrate)
        assert f"Vector(dim={DIMENSIONS}, metric='l2')" in code, code


LOADABLE = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
"""A system's Python has loadable extensions; the one that runs the tests may not."""

COMPARE = """
import math, sqlite3, struct, sys
from sqlawait.backends import sqlite_vectors

raw = sqlite3.connect(":memory:")
sqlite_vectors.load_sqlite_vec(raw)
raw.execute("SELECT vec_version()")  # the extension's own: fails without it
try:
    raw.execute("SELECT load_extension('anything')")
except sqlite3.OperationalError as error:
    assert "not authorized" in str(error), error
one, other = (struct.pack("<3f", *numbers) for numbers in ((1, 2, 3), (-2, 0.5, 4)))
for name in ("l2", "cosine"):
    function = getattr(sqlite_vectors, f"_{name}")
    (theirs,) = raw.execute(f"SELECT vec_distance_{name}(?, ?)", (one, other)).fetchone()
    assert math.isclose(theirs, function(one, other), rel_tol=1e-6), (name, theirs)
raw.close()
"""


def test_extension_and_python_functions_agree() -> None:
    """Where Python can load extensions, sqlite-vec is used and gives the same; the door is closed again."""
    import sqlite3

    here = hasattr(sqlite3.Connection, "enable_load_extension")
    python = sys.executable if here else str(LOADABLE)
    if not here and not LOADABLE.exists():
        pytest.skip("no Python with loadable extensions on this machine")
    path = os.pathsep.join([str(Path(sqlawait.__file__).parents[1]), str(Path(sqlalchemy.__file__).parents[1])])
    done = subprocess.run(
        [python, "-c", COMPARE],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
