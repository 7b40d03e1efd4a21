"""docs/coverage.md: every row of what sqlawait does names tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COUNT = {"A": 7, "B": 6, "C": 5, "D": 4, "E": 7}
ROWS = [f"{part}{number}" for part, count in COUNT.items() for number in range(1, count + 1)]
SAID = dict(
    re.findall(r"^\| ([A-E]\d) \|.*\| (.*) \|$", (ROOT / "docs" / "coverage.md").read_text(), re.MULTILINE)
)


@cache
def named_in(path: str) -> set[str]:
    """The names of a module's tests."""
    module = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(module) if isinstance(node, kinds) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_are_there(row: str) -> None:
    """At least one, and none that is gone."""
    named = re.findall(r"`([^`]+)::([^`]+)`", SAID[row])
    assert named, f"{row} names no test"
    gone = [f"{path}::{name}" for path, name in named if name not in named_in(path)]
    assert not gone


def test_no_row_is_made_up() -> None:
    """The document has these rows and no others."""
    assert list(SAID) == ROWS
