"""Which files are the test suite's."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Module, last_name
from sqlawait.analysis.injection import METHODS


def is_test(module: Module) -> bool:
    """Whether a file holds tests or what only tests need."""
    name = module.path.name
    if name == "conftest.py" or any(part in ("tests", "test", "testing") for part in module.path.parts[-4:-1]):
        return True
    return (name.startswith("test_") or name.endswith("_test.py")) and _has_tests(module.tree)


def _has_tests(tree: ast.Module) -> bool:
    """Whether pytest finds something in a file: an application may deal with tests, too."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            if not any(
                isinstance(each, ast.Call) and last_name(each.func) in METHODS for each in node.decorator_list
            ):
                return True
        elif isinstance(node, ast.ClassDef):
            methods = [
                each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            if any(each.startswith("test") for each in methods):
                return True
    return False


__all__ = ["is_test"]
