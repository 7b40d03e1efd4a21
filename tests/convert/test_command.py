"""The command: shows by default, writes all or nothing, and refuses what git could not undo."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.apply import Refused, write_all
from sqlawait.convert.command import Request, convert

SOURCE = """from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

engine = create_engine("postgresql://localhost/app")
app = FastAPI()


@app.get("/")
def read():
    with Session(engine) as db:
        return db.connection().info
"""
MORE = """from app import app, engine
from sqlalchemy.orm import Session


def bold(call, db: Session):
    text = "<b>"
    return call(lambda: db.commit()), text
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A committed git tree with one file and its requirements."""
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / "requirements.txt").write_text("fastapi\npsycopg2-binary==2.9\nsqlalchemy>=2\n")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        git(tmp_path, *arguments)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git with a name of its own."""
    who = {
        f"GIT_{role}_{what}": "test@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, **who}
    )
    return done.stdout


def test_shows(tree: Path) -> None:
    """Without --write nothing is written; the diff and the plan are shown."""
    said: list[str] = []
    convert(Request(tree), said.append)
    assert git(tree, "status", "--porcelain") == ""
    assert "+async def read():\n" in said[0]
    assert "async    1 engine, 1 function becomes async" in said[1]
    assert "Nothing is left to do by hand." in said[1]
    assert "sqlawait check finds nothing new in the result." in said[1]


def test_writes(tree: Path) -> None:
    """With --write the files change, the requirements too, and a report says what was done."""
    report = tree / "report.json"
    result = convert(Request(tree, write=True, report=report), lambda _: None)
    assert "    async with AsyncSession(engine, expire_on_commit=False) as db:" in (tree / "app.py").read_text()
    assert (tree / "requirements.txt").read_text().splitlines() == [
        "fastapi", "psycopg2-binary==2.9", "psycopg[binary]", "sqlalchemy>=2",
    ]  # fmt: skip
    written = json.loads(report.read_text())
    assert written["functions_async"] == result.functions == 1
    assert written["todos"] == []


def test_requirements_of_a_folder(tree: Path) -> None:
    """Those beside the code, or between it and what is converted, are its own."""
    (tree / "api" / "app").mkdir(parents=True)
    for name, to in ("app.py", "api/app/app.py"), ("requirements.txt", "api/requirements-dev.txt"):
        git(tree, "mv", name, to)
    git(tree, "commit", "-qm", "move")
    convert(Request(tree, write=True), lambda _: None)
    assert "psycopg[binary]" in (tree / "api" / "requirements-dev.txt").read_text()


def test_refuses_a_dirty_tree(tree: Path) -> None:
    """Uncommitted changes are not mixed with a conversion, unless that is asked for."""
    (tree / "app.py").write_text(f"{SOURCE}\n# changed\n")
    with pytest.raises(Refused, match=r"uncommitted changes .*app\.py"):
        convert(Request(tree, write=True), lambda _: None)
    assert (tree / "app.py").read_text() == f"{SOURCE}\n# changed\n"
    convert(Request(tree, write=True, force=True), lambda _: None)
    assert "async def read" in (tree / "app.py").read_text()


def test_refuses_without_git(tmp_path: Path) -> None:
    """Outside of git a conversion could not be undone."""
    (tmp_path / "app.py").write_text(SOURCE)
    with pytest.raises(Refused, match="not in a git tree"):
        convert(Request(tmp_path, write=True), lambda _: None)


def test_all_or_nothing(tmp_path: Path) -> None:
    """When one file cannot be written, the others are as they were and nothing is left behind."""
    first = tmp_path / "first.py"
    first.write_text("one = 1\n")
    with pytest.raises(FileNotFoundError):
        write_all({first: "one = 2\n", tmp_path / "missing" / "second.py": "two = 2\n"})
    assert first.read_text() == "one = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["first.py"]


def test_never_writes_what_does_not_compile(tmp_path: Path) -> None:
    """A file that would not compile stops the whole."""
    path = tmp_path / "first.py"
    path.write_text("one = 1\n")
    with pytest.raises(SyntaxError):
        write_all({path: "one = = 2\n"})
    assert path.read_text() == "one = 1\n"


def test_a_slice_that_is_not_there(tree: Path) -> None:
    """A name that means nothing converts nothing, and says so."""
    with pytest.raises(Refused, match="--only /nowhere is no route"):
        convert(Request(tree, write=True, only=["/nowhere"]), lambda _: None)
    assert git(tree, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        (lambda tree: Request(tree, driver="pg8000"), "no driver 'pg8000'"),
        (lambda tree: Request(tree, report=tree / "report.txt"), r"ends in \.html or \.json"),
    ],
)
def test_refuses_what_cannot_be_meant(tree: Path, request_of: Callable[[Path], Request], why: str) -> None:
    """A driver or a format that does not exist is refused before anything is read."""
    with pytest.raises(Refused, match=why):
        convert(request_of(tree), lambda _: None)


def test_page(tree: Path) -> None:
    """The report as a page holds the figures, the diff and what is left, with all text escaped."""
    (tree / "more.py").write_text(MORE)
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "more")
    convert(Request(tree, report=tree / "out.html"), lambda _: None)
    page = (tree / "out.html").read_text()
    assert "<b>SAW904</b>" in page
    assert "more.py:7" in page
    assert "&lt;b&gt;" in page
    assert re.search(r"class=add>\+[1-9]\d*</span>", page)
    assert not re.search(r"\{[a-z]+\}", page.partition("<h1>")[2])
