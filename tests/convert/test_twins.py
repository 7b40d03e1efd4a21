"""What sync and async code both need is there twice, and the twins name each other's parts and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

HEAD = """
from celery import shared_task
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
"""


@pytest.fixture
def converted(convert: Callable[..., Result], tmp_path: Path) -> Callable[[str], str]:
    """A module behind these imports, converted."""

    def run(source: str) -> str:
        result = convert({"module.py": HEAD + source})
        assert result.todos == []
        return result.changes[tmp_path / "module.py"][1]

    return run


@pytest.mark.parametrize("name", ["f", "d", "count"])
def test_a_function_is_renamed_where_its_name_stands(converted: Callable[[str], str], name: str) -> None:
    """Also where its name is a part of the word before it."""
    after = converted(f"""
SessionLocal = sessionmaker(create_engine("sqlite://"))

def {name}(db: Session):
    return db.scalar(text("1"))

@app.get("/")
def read(db: Session = Depends(SessionLocal)):
    return {name}(db)

@shared_task
def task():
    with SessionLocal() as db:
        {name}(db)
""")
    assert f"async def {name}(db: AsyncSession):" in after
    assert f"\ndef {name}_sync(db: Session):" in after


def test_only_what_is_assigned_gets_the_twins_name(converted: Callable[[str], str]) -> None:
    """Names that the expression itself binds stay."""
    after = converted("""
OPTIONS = {"pool_size": 3, "echo": None}
engine = create_engine("sqlite:///a.db", **{key: value for key, value in OPTIONS.items() if value})
SessionLocal = sessionmaker(engine)

@app.get("/")
def read(db: Session = Depends(SessionLocal)):
    return db.scalar(text("1"))

@shared_task
def task():
    with SessionLocal() as db:
        db.scalar(text("1"))
""")
    assert (
        'sync_engine = create_engine("sqlite:///a.db",'
        " **{key: value for key, value in OPTIONS.items() if value})" in after
    )


def test_globals_are_declared_by_their_whole_names(converted: Callable[[str], str]) -> None:
    """A global whose name ends as the engine's does is another one."""
    after = converted("""
my_engine = None
engine = None

def get_engine():
    global my_engine, engine
    if not engine:
        my_engine = "made"
        engine = create_engine("sqlite:///a.db")
    return engine

def make_session():
    return sessionmaker(get_engine())()

def get_db():
    db = make_session()
    try:
        yield db
    finally:
        db.close()

@app.get("/")
def read(db: Session = Depends(get_db)):
    return db.scalar(text("1"))

@shared_task
def task():
    db = make_session()
    db.scalar(text("1"))
    db.close()
""")
    assert "global my_engine, engine\n" in after
    assert "global my_engine, sync_engine\n" in after


BOTH = """
class Store:
    def __init__(self, url: str):
        self.url = url
        {made}

    def count(self):
        {count}

@app.get("/")
def read(store: Store = Depends(Store)):
    return store.count()

@shared_task
def task():
    return Store("sqlite://").count()
"""


def test_a_constructor_makes_both(converted: Callable[[str], str]) -> None:
    """A class has one ``__init__``: it makes the engine of sync code beside that of async code."""
    count = "with self.engine.connect() as it: return it.scalar(text('1'))"
    made = "self.engine = self.connect()\n\n    def connect(self):\n        return create_engine('sqlite://')"
    after = converted(BOTH.format(made=made, count=count))
    assert after.count("def __init__(") == 1
    assert "        self.engine = self.connect()\n        self.sync_engine = self.connect_sync()\n" in after
    assert "    def connect_sync(self):\n        return create_engine('sqlite://')" in after
    assert "    def count_sync(self):\n        with self.sync_engine.connect() as it" in after


def test_a_constructor_that_makes_one_for_both(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What it makes for either cannot be both: it is left to be done by hand."""
    source = 'SessionLocal = sessionmaker(create_engine("sqlite://"))\n' + BOTH.format(
        made="self.db = SessionLocal()", count="return self.db.scalar(text('1'))"
    )
    result = convert({"module.py": HEAD + source})
    assert [(todo.code, todo.line) for todo in result.todos] == [("SAW908", 12)]
    assert result.changes[tmp_path / "module.py"][1].count("def __init__(") == 1
