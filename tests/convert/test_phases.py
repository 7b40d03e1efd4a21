"""One commit a phase: each leaves code that runs, and a run that was stopped goes on from there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from test_command import git, tree

from sqlawait.convert.apply import Refused
from sqlawait.convert.command import Request, convert

__all__ = ["tree"]
QUERIES = """from fastapi import Depends
from sqlalchemy.orm import Session, sessionmaker
from app import Item, app, engine

SessionLocal = sessionmaker(engine)


def get_db():
    with SessionLocal() as db:
        yield db


@app.get("/items")
def items(db: Session = Depends(get_db)):
    return (
        db.query(Item)
        .filter(Item.name != "")
        .all()
    )


@app.get("/first")
def first(db: Session = Depends(get_db)):
    item = db.query(Item).first()
    return item.name if item else None
"""
MODEL = """

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
"""


@pytest.fixture
def shop(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed tree with queries."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")
    (tree / "app.py").write_text((tree / "app.py").read_text() + MODEL)
    (tree / "queries.py").write_text(QUERIES)
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "queries")
    return tree


def subjects(folder: Path) -> list[str]:
    """What was committed, the oldest first."""
    return git(folder, "log", "--format=%s", "--reverse").splitlines()[2:]


def files(folder: Path) -> dict[str, str]:
    """What the tree holds."""
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


TITLES = [
    "Require the async database driver",
    "Write queries as select()",
    "Load up front what async code cannot load on access",
    "Make the engine, the sessions and what waits for them async",
]


def test_one_commit_a_phase(shop: Path) -> None:
    """Each phase is a commit; the queries are written anew while everything is still sync."""
    said: list[str] = []
    convert(Request(shop, commit=True), said.append)
    assert subjects(shop) == TITLES
    assert git(shop, "status", "--porcelain") == ""
    still_sync = git(shop, "show", "HEAD~2:queries.py")
    assert "    item = db.scalars(select(Item).limit(1)).first()\n" in still_sync
    assert "async" not in still_sync
    assert "expire_on_commit=False" in git(shop, "show", "HEAD~1:queries.py")
    for back in range(4):
        ast.parse(git(shop, "show", f"HEAD~{back}:queries.py"))
    assert "committed, one a phase: drivers, queries, loading, async" in said[0]


def test_the_last_phase_is_the_whole(shop: Path) -> None:
    """Phase by phase or at once: the outcome is the same."""
    convert(Request(shop, write=True), lambda _: None)
    at_once = files(shop)
    git(shop, "checkout", "-q", ".")
    convert(Request(shop, commit=True), lambda _: None)
    assert files(shop) == at_once


@pytest.mark.parametrize("stopped", range(1, 4))
def test_goes_on(shop: Path, stopped: int) -> None:
    """A phase that cannot be committed leaves the tree as the one before it left it; the next run goes on."""
    convert(Request(shop, write=True), lambda _: None)
    at_once = files(shop)
    git(shop, "checkout", "-q", ".")
    hook = shop / ".git" / "hooks" / "commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n! grep -q '{TITLES[stopped]}' \"$1\"\n")
    hook.chmod(0o755)
    with pytest.raises(Refused, match="could not commit"):
        convert(Request(shop, commit=True), lambda _: None)
    assert git(shop, "status", "--porcelain") == ""
    assert subjects(shop) == TITLES[:stopped]
    hook.unlink()
    convert(Request(shop, commit=True), lambda _: None)
    assert subjects(shop) == TITLES
    assert files(shop) == at_once


def test_twice(shop: Path) -> None:
    """What is converted is not converted again."""
    convert(Request(shop, commit=True), lambda _: None)
    said: list[str] = []
    result = convert(Request(shop, commit=True), said.append)
    assert result.changes == {}
    assert subjects(shop) == TITLES
    assert said[0].startswith("Nothing to convert")


def test_never_on_top_of_other_changes(shop: Path) -> None:
    """A commit of a phase holds nothing else, whatever is forced."""
    (shop / "queries.py").write_text(QUERIES + "# more\n")
    with pytest.raises(Refused, match="uncommitted changes"):
        convert(Request(shop, commit=True, force=True), lambda _: None)
