"""Parsing of syntax that is newer than the running Python."""

from __future__ import annotations

import ast

import pytest

from sqlawait.analysis.syntax import parse

NEWER = {
    "parameters of a class": "class Repo[M: Base, K = int](Base[M]):\n    x = 1\n",
    "parameters over several lines": "class Repo[\n    M,\n    K: list[int],\n](Base):\n    x = 1\n",
    "parameters of a function": "async def find[T](model: type[T]) -> T:\n    x = 1\n",
    "an alias": "type Page[T] = list[T]\nx = 1\n",
    "several exceptions": "try:\n    pass\nexcept ValueError, KeyError:\n    x = 1\n",
}


@pytest.mark.parametrize("source", NEWER.values(), ids=NEWER)
def test_newer_syntax_is_read_with_positions_kept(source: str) -> None:
    """What an older Python does not know is left out, and everything else stays where it stands."""
    (found,) = [n for n in ast.walk(parse(source, "app.py")) if isinstance(n, ast.Name) and n.id == "x"]
    assert source.splitlines()[found.lineno - 1][found.col_offset :].startswith("x = 1")


def test_what_no_python_understands_is_an_error() -> None:
    """A broken file is reported, not guessed at."""
    with pytest.raises(SyntaxError):
        parse("def f(:\n", "app.py")
