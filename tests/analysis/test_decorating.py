"""Calls that come through a decorator of the code base."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sqlawait.analysis import Analysis

HEAD = """\
from functools import wraps
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

Local = sessionmaker(create_engine("sqlite://"))

def with_session(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        with Local() as session:
            return function(session, *args, **kwargs)
    return wrapper

def with_keyword(name):
    def decorate(function):
        def wrapper(*args, **kwargs):
            return function(*args, db=Local(), **kwargs)
        return wrapper
    return decorate

def in_thread(function):
    async def wrapper(*args):
        return await run_in_threadpool(function, *args)
    return wrapper

def logged(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper
"""


def analysed(tmp_path: Path, code: str) -> Analysis:
    """The analysis of a module with the decorators above."""
    (tmp_path / "app.py").write_text(HEAD + code)
    return Analysis.of([tmp_path])


@pytest.mark.parametrize(
    "code",
    [
        "@with_session\ndef read(db, key):\n    return db.get\n\nread(1)\n",
        "@with_keyword('x')\ndef read(key, db):\n    return db.get\n\nread(1)\n",
        "@logged\ndef read(db, key):\n    return db.get\n\nread(Local(), 1)\n",
        "read = lambda db, key: db.get\nread(Local(), 1)\n",
    ],
    ids=["put before", "added by keyword", "passed through", "a lambda with a name"],
)
def test_a_parameter_gets_what_the_wrapper_passes(code: str, tmp_path: Path) -> None:
    """Arguments that a wrapper adds move the caller's to the next parameters."""
    analysis = analysed(tmp_path, code)
    (module,) = analysis.project.modules.values()
    (get,) = [n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute) and n.attr == "get"]
    assert analysis.is_session(analysis.types.type_of(get.value), kind="sync")


@pytest.mark.parametrize(("decorator", "on_loop"), [("in_thread", False), ("logged", True)])
def test_what_a_wrapper_hands_to_a_thread_is_not_on_the_loop(
    decorator: str, on_loop: bool, tmp_path: Path
) -> None:
    """A decorator that runs its function in a thread takes it off the loop."""
    call = "await work()" if decorator == "in_thread" else "work()"
    analysis = analysed(
        tmp_path, f"@{decorator}\ndef work():\n    Local().commit()\n\nasync def go():\n    {call}\n"
    )
    assert ("work" in {each.name for each in analysis.colours.on_loop}) is on_loop
