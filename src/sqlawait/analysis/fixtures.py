"""pytest's fixtures: a parameter of a test is what the fixture of that name gives."""

from __future__ import annotations

import ast
import os
from functools import cached_property
from typing import TYPE_CHECKING

from .declarations import Function, last_name
from .types import UNKNOWN, Type, members, union

if TYPE_CHECKING:
    from .inference import Inference


class Fixtures:
    """Fixtures by name."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference

    @cached_property
    def by_name(self) -> dict[str, list[Function]]:
        """Every fixture, under the name that tests ask for it by."""
        found: dict[str, list[Function]] = {}
        for function in self.inference.project.functions:
            for decorator in function.decorators:
                if last_name(decorator.func if isinstance(decorator, ast.Call) else decorator) != "fixture":
                    continue
                name = function.name
                if isinstance(decorator, ast.Call):
                    given = next((k.value for k in decorator.keywords if k.arg == "name"), None)
                    name = str(given.value) if isinstance(given, ast.Constant) else name
                found.setdefault(name, []).append(function)
        return found

    def find(self, function: Function, name: str) -> Function | None:
        """The fixture that a parameter of a test or fixture asks for: the nearest one."""
        if not function.name.startswith("test") and "fixture" not in function.decorator_names:
            return None
        candidates = [each for each in self.by_name.get(name, ()) if each is not function]
        here = function.module.path
        return max(candidates, key=lambda f: len(os.path.commonpath([f.module.path, here])), default=None)

    def type_of(self, function: Function, name: str) -> Type:
        """What a parameter of a test or fixture gets."""
        fixture = self.find(function, name)
        if fixture is None:
            return UNKNOWN
        result = self.inference.result_of(fixture)
        generators = ("Generator", "AsyncGenerator", "Coroutine")
        return union(
            each.args[0] if each.name in generators and each.args else each for each in members(result)
        )


__all__ = ["Fixtures"]
