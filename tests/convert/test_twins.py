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
