"""Sessions that async code gives to an object of a library, which uses them when it is called back.

A broker of tasks may write its messages in the transaction of the request. The library calls its methods and
does not await them: they get the sync session inside the async one, and what calls the library runs through
``run_sync``.
"""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING

from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.types import members

if TYPE_CHECKING:
    from .facts import Facts

BARRIER_BASES = {
    "Consumer",
    "Broker",
    "Worker",
    "ModelView",
    "HttpUser",
    "TestCase",
    "Task",
    "Thread",
    "Process",
    "Command",
    "BaseCommand",
    "Cmd",
    "TypeDecorator",
    "UserDefinedType",
    "Middleware",
}
"""Base classes from outside whose methods a library calls and does not await."""


class Lending:
    """Finds such sessions, and the calls that may come back to them."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    @cached_property
    def _classes(self) -> dict[Class, set[str]]:
        """The classes that a library calls, and the libraries."""
        found: dict[Class, set[str]] = {}
        for cls in self.facts.project.classes:
            outside = self.facts.inference.attributes.outside_bases(cls)
            if not cls.module.stub and any(each.rpartition(".")[2] in BARRIER_BASES for each in outside):
                found[cls] = {each.partition(".")[0] for each in outside}
        return found

    @cached_property
    def _lent(self) -> dict[ast.Call, list[ast.expr]]:
        """The calls that give a session, each with what it gives."""
        found: dict[ast.Call, list[ast.expr]] = {}
        for cls in self._classes:
            for name in cls.methods:
                for call in self.facts.project.collected.calls.get(name, ()):
                    function = self.facts.project.function_of(call)
                    if function is None or not self._is_async(function) or not self._is_on(call, cls):
                        continue
                    given = [*call.args, *(keyword.value for keyword in call.keywords)]
                    sessions = [each for each in given if self._is_async_session(each)]
                    if sessions:
                        found[call] = sessions
        return found

    @cached_property
    def _libraries(self) -> set[str]:
        return {name for cls in self._classes for name in self._classes[cls] if self._is_given(cls)}

    def _is_given(self, cls: Class) -> bool:
        return any(self._is_on(call, cls) for call in self._lent)

    def _is_async(self, function: Function) -> bool:
        injection = self.facts.inference.injection
        return function.is_async or function in injection.routes or function in injection.all

    def _is_async_session(self, node: ast.expr) -> bool:
        """Whether it is a session that becomes async: the one inside an async session does not."""
        inside = isinstance(node, ast.Attribute) and node.attr == "sync_session"
        return not inside and self.facts.is_session(node)

    def _is_on(self, call: ast.Call, cls: Class) -> bool:
        """Whether a call is on an object of the class, or on one that the library gives and that may be it."""
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in cls.methods:
            return False
        return any(
            each.decl is cls or (each.kind == "external" and each.name.partition(".")[0] in self._classes[cls])
            for each in members(self.facts.type_of(call.func.value))
        )

    def sessions(self, call: ast.Call) -> list[ast.expr]:
        """The sessions that a call gives to such an object."""
        return self._lent.get(call, [])

    def calls_back(self, call: ast.Call) -> bool:
        """Whether the library may use a session during a call of its object or of a function it decorated."""
        if not isinstance(call.func, ast.Attribute) or not self._libraries:
            return False
        if any(call.func.attr in cls.methods and self._is_given(cls) for cls in self._classes):
            return False
        return any(
            self._is_of_library(each.name, each.decl) for each in members(self.facts.type_of(call.func.value))
        )

    def _is_of_library(self, name: str, decl: object) -> bool:
        if not isinstance(decl, Function):
            return decl is None and name.endswith(")") and name.partition(".")[0] in self._libraries
        return any(
            self.facts.inference.names.qualified(each.func if isinstance(each, ast.Call) else each).partition(
                "."
            )[0]
            in self._libraries
            for each in decl.decorators
        )


__all__ = ["BARRIER_BASES", "Lending"]
