"""``sqlawait db copy``: everything is there afterwards, or nothing was written and it is said why."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from commands.moved import Base, Colour, Everything, Line, Node, Pair, Player, Team
from sqlawait import Database
from sqlawait.commands import migrations
from sqlawait.commands.copying import Options, copy
from sqlawait.service import demo
from sqlawait.service.embedder import embedder
from sqlawait.service.models import Document, User

MODELS = "commands.moved:Base"

ROWS: list[dict[str, Any]] = [
    {"id": 1},
    {
        "id": 2,
        "small": -32768,
        "whole": 2**31 - 1,
        "big": -(2**63),
        "amount": Decimal("9999999999.99"),
        "money": Decimal("-0.01"),
        "ratio": 0.1,
        "yes": True,
        "name": "ÄöÜß 🙂 \u200d\u0301 日本語",
        "text": "line\nline\ttab 'quote' \"double\" \\N \\x00 \x01",
        "colour": Colour.BLUE,
        "day": date(1970, 1, 1),
        "clock": time(23, 59, 59),
        "moment": datetime(2024, 2, 29, 12, 30, 45, 123456),  # noqa: DTZ001 - the column keeps no zone
        "zoned": datetime(2024, 2, 29, 12, 30, 45, 123456),  # noqa: DTZ001 - as SQLite gives it back
        "instant": datetime(2024, 2, 29, 14, 30, 45, 1, tzinfo=timezone(timedelta(hours=2))),
        "uuid": UUID("12345678-1234-5678-1234-567812345678"),
        "raw": bytes(range(256)),
        "document": {"a": [1, 2.5, None, True, "ü\u2028"], "big": 2**70, "": {}},
        "vector": [0.1, -2.0, 3e-5],
    },
    {
        "id": 70_000,
        "small": 0,
        "whole": -1,
        "big": 2**53 + 1,
        "amount": Decimal("0.10"),
        "money": Decimal("12345678901234.56"),
        "ratio": 1e300,
        "yes": False,
        "name": "",
        "text": "",
        "colour": Colour.RED,
        "document": None,
        "raw": b"",
    },
]


def make(path: Path, lines: int = 20) -> str:
    """A SQLite database with a bit of everything, as an application leaves it."""

    async def fill() -> None:
        async with Database(f"sqlite:///{path}") as db:
            await db.create_all(Base.metadata)
            async with db.transaction() as session:
                await session.execute(text("PRAGMA defer_foreign_keys = ON"))
                for row in ROWS:
                    await session.create(Everything, **row)
                await session.bulk_insert(Node, [{"id": n, "next_id": n % 5 + 1} for n in range(1, 6)])
                await session.bulk_insert(Player, [{"id": 1, "team_id": 2}, {"id": 2, "team_id": 1}])
                await session.bulk_insert(Team, [{"id": 1, "captain_id": 2}, {"id": 2, "captain_id": 1}])
                await session.bulk_insert(Pair, [{"one": "b", "other": "Ä"}, {"one": "a", "other": ""}])
                rows = ({"id": n, "node_id": n % 5 + 1, "text": f"line {n} ü"} for n in range(1, lines + 1))
                await session.bulk_insert(Line, rows)
                await session.create(Line, id=lines + 1000, text="to be gone")
            async with db.transaction() as session:
                await session.execute(Line.__table__.delete().where(Line.id > lines))

    asyncio.run(fill())
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once."""
    path = tmp_path_factory.mktemp("copying") / "app.db"
    make(path)
    return path


@pytest.fixture
def source(original: Path, tmp_path: Path) -> str:
    """The database to copy."""
    return f"sqlite:///{shutil.copy(original, tmp_path / 'app.db')}"


@pytest.fixture(params=["postgresql", "mysql"])
def target(request: pytest.FixtureRequest) -> str:
    """Each database that one can copy to, with its tables."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    in_(url, lambda db: db.create_all(Base.metadata))
    return url


def in_(url: str, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Database(url) as db:
            return await work(db)

    return asyncio.run(run())


def count(url: str, model: type[Any]) -> int:
    async def ask(db: Database) -> int:
        async with db.reader() as session:
            return await session.count(model)

    return int(in_(url, ask))


def execute(source: str, *statements: str) -> None:
    """What another tool may do to a SQLite file: it takes any value, and checks no foreign key."""
    with sqlite3.connect(source.removeprefix("sqlite:///")) as connection:
        for statement in ("PRAGMA ignore_check_constraints = ON", *statements):
            connection.execute(statement)
    connection.close()


def copied(source: str, target: str, capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    """The report of a copy, and its exit code."""
    code = copy(Options(source=source, target=target, models=MODELS, as_json=True, **options))
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report | {"code": code}


def test_everything_is_there_afterwards(source: str, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each value as it was, NULL and JSON's null kept apart, circles closed, and the source as it was."""
    path = Path(source.removeprefix("sqlite:///"))
    before = hashlib.sha256(path.read_bytes()).digest(), {each.name for each in path.parent.iterdir()}
    report = copied(source, target, capsys)
    assert report["outcome"] == "copied", report
    assert report["code"] == 0
    assert {table["name"]: table["rows"] for table in report["tables"]} == {
        "everything": 3, "lines": 20, "nodes": 5, "pairs": 2, "players": 2, "teams": 2,
    }  # fmt: skip
    assert before == (
        hashlib.sha256(path.read_bytes()).digest(),
        {each.name for each in path.parent.iterdir()},
    )

    async def look(db: Database) -> None:
        async with db.reader() as session:
            for row in ROWS:
                found = await session.get_one(Everything, row["id"])
                for name, value in row.items():
                    kept = getattr(found, name)
                    if name == "zoned" and kept.tzinfo:
                        assert kept == value.replace(tzinfo=UTC)
                    else:
                        assert kept == (pytest.approx(value) if name == "vector" else value), name
            null = select(Everything.id).where(text("document IS NULL"))
            assert (await session.execute(null)).scalars().all() == [1], "the other one is JSON's null"
        async with db.transaction() as session:
            assert (await session.create(Everything)).id == 70_001
            assert (await session.create(Line, text="next")).id == 1021, (
                "AUTOINCREMENT never gives a number again"
            )

    in_(target, look)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("whole", "'abc'", "'abc' is no INTEGER"),
        ("whole", "2147483648", "more than INTEGER holds"),
        ("small", "40000", "more than SMALLINT holds"),
        ("whole", "1.5", "1.5 is no INTEGER"),
        ("amount", "1.005", "more decimals than NUMERIC(12, 2)"),
        ("amount", "10000000000", "more than NUMERIC(12, 2) holds"),
        ("amount", "'much'", "is no NUMERIC"),
        ("amount", "9e999", "Infinity is no number"),
        ("money", "1.5", "1.5 is no BIGINT"),
        ("yes", "2", "2 is no BOOLEAN"),
        ("name", "'123456789012345678901'", "21 characters, more than VARCHAR(20) holds"),
        ("name", "x'ff'", "is no VARCHAR"),
        ("text", "CAST(x'ff' AS TEXT)", "no UTF-8"),
        ("text", "'a' || char(0) || 'b'", "NUL"),
        ("colour", "'GREEN'", "'GREEN' is no"),
        ("day", "'2024-02-30'", "is no DATE"),
        ("moment", "1700000000", "is no DATETIME"),
        ("moment", "'2024-01-01 00:00:00+02:00'", "has a zone"),
        ("uuid", "'no'", "is no"),
        ("raw", "'text'", "is no BLOB"),
        ("document", "'{'", "is no JSON"),
        ("document", "'[NaN]'", "is no JSON"),
        ("vector", "x'00'", "is no BLOB"),
        ("vector", "x'0000803f'", "1 dimensions and the column 3"),
    ],
)
def test_a_value_that_does_not_fit_is_told_before_anything_is_written(
    column: str, value: str, reason: str, source: str, moved_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its table, row and column."""
    execute(source, f"UPDATE everything SET {column} = {value} WHERE id = 2")
    report = copied(source, moved_url, capsys)
    assert (report["code"], report["outcome"]) == (1, "misfits")
    (misfit,) = report["misfits"]
    assert (misfit["table"], misfit["key"], misfit["column"]) == ("everything", "id=2", column)
    assert reason in misfit["reason"]
    assert "sqlawait_copy" not in in_(moved_url, tables)


async def tables(db: Database) -> set[str]:
    async with db.reader() as session:
        names = await session.execute(text("SELECT table_name FROM information_schema.tables"))
        return set(names.scalars())


@pytest.fixture(scope="module")
def moved_url(postgres_server: Any) -> str:
    """One PostgreSQL for all that is refused: nothing is written to it."""
    url: str = postgres_server.create_database("moved")
    in_(url, lambda db: db.create_all(Base.metadata))
    return url


def test_every_misfit_is_told_at_once(source: str, moved_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that refer to nothing among them; and people get a table."""
    execute(
        source,
        "UPDATE everything SET whole = 'x', name = x'00' WHERE id = 2",
        "UPDATE lines SET node_id = 77 WHERE id = 3",
        "UPDATE lines SET text = 'é' || hex(zeroblob(60)) WHERE id < 41",
    )
    report = copied(source, moved_url, capsys)
    assert report["misfits_in_all"] == 2 + 1 + 20
    (orphan,) = (each for each in report["misfits"] if each["column"] == "node_id")
    assert (orphan["table"], orphan["key"]) == ("lines", "rowid 3")
    assert orphan["reason"] == "refers to a row of nodes that does not exist"
    assert copy(Options(source=source, target=moved_url, models=MODELS)) == 1
    said = capsys.readouterr().err
    assert "everything" in said
    assert "and 3 more" in said
    assert "nothing was written" in said


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"source": "sqlite:///missing.db"}, "sqlite:///app.db"),
        ({"source": "postgresql://one/shop"}, "sqlite:///app.db"),
        ({"target": "sqlite:///other.db"}, "copy the file"),
        ({"models": "commands.moved:Nothing"}, "package.module:Base"),
        ({"models": "commands.moved:Colour"}, "package.module:Base"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(
    wrong: dict[str, str], remedy: str, source: str, moved_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and nothing written."""
    options = {"source": source, "target": moved_url, "models": MODELS} | wrong
    assert copy(Options(**options)) == 2  # type: ignore[arg-type]
    assert remedy in capsys.readouterr().err


def test_a_target_that_is_not_empty_is_refused(
    source: str, moved_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So are tables and columns that would be lost; a table can be left out by name."""
    execute(source, "CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    assert "no model describes: notes" in copied(source, moved_url, capsys)["message"]
    execute(source, "ALTER TABLE pairs ADD COLUMN more TEXT")
    report = copied(source, moved_url, capsys, without=["notes"])
    assert (report["code"], report["message"]) == (
        2,
        "table pairs: source and models differ in more; migrate first",
    )
    execute(source, "ALTER TABLE pairs DROP COLUMN more")

    async def add(db: Database) -> None:
        async with db.transaction() as session:
            await session.create(Pair, one="x", other="y")

    async def remove(db: Database) -> None:
        async with db.transaction() as session:
            await session.delete(await session.get_one(Pair, ("x", "y")))

    in_(moved_url, add)
    try:
        assert "pairs holds 1 rows" in copied(source, moved_url, capsys, without=["notes"])["message"]
    finally:
        in_(moved_url, remove)


@pytest.mark.parametrize(
    ("database", "rows", "restart"),
    [("postgresql", 20_000, False), ("postgresql", 20_000, True), ("mysql", 20_000, False)],
)
def test_a_copy_that_was_killed_goes_on(
    database: str,
    rows: int,
    restart: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """kill -9 in the middle: the same command goes on, and every row is there once; or it begins again."""
    target = request.getfixturevalue(f"{database}_url")
    in_(target, lambda db: db.create_all(Base.metadata))
    source = make(tmp_path / "large.db", lines=rows)
    command = [sys.executable, "-m", "sqlawait", "db", "copy", source, target, "--models", MODELS]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        in_(target, lambda db: some_but_not_all(db, rows, process))
    finally:
        process.kill()
        process.wait()
    if restart:
        execute(source, "UPDATE lines SET text = 'changed' WHERE id = 1")
        refused = copied(source, target, capsys)
        assert (refused["code"], "has changed since" in refused["message"]) == (2, True)
    report = copied(source, target, capsys, restart=restart)
    assert (report["code"], report["resumed"]) == (0, not restart), report
    assert count(target, Line) == rows


async def some_but_not_all(db: Database, rows: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for the middle."""
    while True:
        async with db.reader() as session:
            copied = await session.count(Line)
        if 0 < copied < rows:
            return
        assert process.poll() is None, "it was over before it could be killed"


def test_the_service_is_moved(postgresql_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its migrations, documents with their vectors too; before the target is migrated it is refused."""
    source = f"sqlite:///{tmp_path / 'service.db'}"
    migrations.upgrade(url=source)

    async def fill(db: Database) -> None:
        async with db.transaction() as session:
            await demo.load(session, embedder("hashed"))

    in_(source, fill)
    options = Options(source=source, target=postgresql_url)
    assert copy(options) == 2
    assert "sqlawait db upgrade" in capsys.readouterr().err
    migrations.upgrade(url=postgresql_url)
    capsys.readouterr()
    assert copy(options) == 0
    assert "copied and compared" in capsys.readouterr().out
    assert count(postgresql_url, Document) == count(source, Document) > 1000
    assert count(postgresql_url, User) == 16
