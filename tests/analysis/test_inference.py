"""What expressions are, worked out from the source alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sqlawait.analysis import Analysis

APP = {
    "db.py": """\
from contextlib import asynccontextmanager
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

Local = sessionmaker(create_engine("sqlite://"))
Factory = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"), expire_on_commit=False)

class Base(DeclarativeBase): ...

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    posts: Mapped[list["Post"]] = relationship(back_populates="author")

class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    author: Mapped[User] = relationship(back_populates="posts")

def get_db():
    with Local() as db:
        yield db

@asynccontextmanager
async def scope():
    async with Factory() as session:
        yield session
""",
    "crud.py": """\
from typing import Generic, TypeVar
from sqlalchemy import select
from sqlalchemy.orm import selectinload
from db import Post, User

M = TypeVar("M")

class Repository(Generic[M]):
    model: type[M]
    def __init__(self, session): self.session = session
    async def find(self, key): return await self.session.get(self.model, key)

class Users(Repository[User]):
    model = User

def helper(db, key):
    return db.get(User, key)
""",
    "app.py": """\
from typing import Annotated
from fastapi import APIRouter, Depends
from sqlalchemy import select
from sqlalchemy.orm import selectinload
import crud as data
from db import Factory, Local, Post, User, get_db, scope

router = APIRouter()
Db = Annotated[object, Depends(get_db)]

@router.get("/a")
def a(db=Depends(get_db)):
    probe_default = db
    probe_helper = data.helper(db, 1)

@router.get("/b")
def b(db: Db):
    probe_alias = db

async def c():
    async with scope() as session:
        probe_context = session
        users = data.Users(session)
        probe_generic = await users.find(1)
        rows = (await session.execute(select(User).options(selectinload(User.posts)))).scalars().all()
        for user in rows:
            probe_item = user
            probe_post = user.posts[0]
        probe_sync = await session.run_sync(lambda s: s)
""",
}
PROBES = {
    "probe_default": "sqlalchemy.orm.Session",
    "probe_alias": "sqlalchemy.orm.Session",
    "probe_helper": "db.User | None",
    "probe_context": "sqlalchemy.ext.asyncio.AsyncSession",
    "probe_generic": "db.User | None",
    "probe_item": "db.User",
    "probe_post": "db.Post",
    "probe_sync": "sqlalchemy.orm.Session",
}


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A small application, analysed."""
    folder = tmp_path_factory.mktemp("app")
    for name, source in APP.items():
        (folder / name).write_text(source, encoding="utf-8")
    return Analysis.of([folder])


def probe(analysis: Analysis, name: str) -> ast.expr:
    """The value that a name is assigned in app.py."""
    for module in analysis.project.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                return node.value
    raise LookupError(name)


@pytest.mark.parametrize(("name", "expected"), PROBES.items())
def test_types_come_from_the_source_alone(analysis: Analysis, name: str, expected: str) -> None:
    """Dependencies, aliases, callers, context managers, generic bases, results and run_sync are followed."""
    assert str(analysis.types.type_of(probe(analysis, name))) == expected


def test_a_row_remembers_its_session_and_what_was_loaded(analysis: Analysis) -> None:
    """The options of its statement, and the way back from a loaded collection."""
    row = analysis.types.type_of(probe(analysis, "probe_item"))
    assert row.origin is not None
    assert (row.origin.session, row.origin.loaded) == ("async", frozenset({"posts"}))
    behind = analysis.types.type_of(probe(analysis, "probe_post"))
    assert behind.origin is not None
    assert behind.origin.loads("author")


def test_positions_lead_to_types_as_libcst_counts_them(tmp_path: Path) -> None:
    """Lines from 1, columns from 0, in characters and not in bytes."""
    path = tmp_path / "app.py"
    path.write_text(
        "from sqlalchemy.orm import Session\ndb = Session()\nprint('é→'); db.commit()\n", encoding="utf-8"
    )
    found = Analysis.of([tmp_path]).type_at(path, (3, 13), (3, 15))
    assert str(found) == "sqlalchemy.orm.Session"


def test_what_runs_on_the_loop_and_what_in_a_thread(analysis: Analysis) -> None:
    """A plain route and its helper run in a thread; a coroutine runs on the loop."""
    by_name = {function.name: function for function in analysis.project.functions}
    assert {by_name["a"], by_name["helper"]} <= analysis.colours.in_thread
    assert by_name["c"] in analysis.colours.on_loop
    assert by_name["helper"] not in analysis.colours.on_loop
    assert "database" in analysis.colours.effects(by_name["helper"])
