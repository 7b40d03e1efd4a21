"""Where async code begins and where sync code does: routes and dependencies, tasks and commands."""

from __future__ import annotations

import ast
from collections.abc import Callable

from sqlawait.analysis.declarations import Function, Module

from .barriers import Barriers
from .borrowing import borrowers
from .facts import Facts
from .handing import ASYNC_CALLS, SYNC_CALLS
from .holders import Holders
from .units import Unit, Units
from .waits import TO_THREAD


class Roots:
    """Finds the functions that start it."""

    def __init__(
        self,
        facts: Facts,
        units: Units,
        *,
        barriers: Barriers,
        holders: Holders,
        idle: set[Function],
        suite: set[Module],
        selected: Callable[[Function], bool] | None,
    ) -> None:
        self.facts = facts
        self.units = units
        self.barriers = barriers
        self.holders = holders
        self.idle = idle
        self.suite = suite
        self.selected = selected
        self.injection = facts.inference.injection

    def find(self) -> tuple[set[Function], set[Function]]:
        """The async roots and the sync ones."""
        asynchronous: set[Function] = set()
        synchronous: set[Function] = set()
        entries = set(self.injection.routes) | set(self.injection.all)
        functions = [each for each in self.units.functions if each.module not in self.suite]
        borrowing = self._borrowing(functions) if self.selected is None else set()
        for function in functions:
            if self.barriers.is_barrier(function) or function in borrowing:
                synchronous.add(function)
            elif not self.barriers.cannot_await(function) and (function.is_async or function in entries):
                if self.selected is None or self.selected(function):
                    asynchronous |= {function, *self._provided(function)}
                elif function in self.injection.routes and not function.is_async:
                    synchronous |= {function, *self._provided(function)}
            elif self.selected is not None and self.selected(function):
                asynchronous.add(function)
            for node, handed in self.units.functions[function].uses.references:
                self._handed(node, handed, asynchronous, synchronous)
        for module, unit in self.units.tops.items():
            if module not in self.suite:
                synchronous.update(self._run_at_import(unit))
                for node, handed in unit.uses.references:
                    self._handed(node, handed, asynchronous, synchronous)
        if self.selected is None:
            rooted = asynchronous | synchronous
            asynchronous |= {each for each in functions if each not in rooted and self._is_alone(each)}
        return asynchronous, synchronous

    def _borrowing(self, functions: list[Function]) -> set[Function]:
        callers = {
            each: {unit.function for unit in self.units.called[each] if unit.module not in self.suite}
            for each in functions
        }
        return borrowers(functions, callers, self.holders.classes, self.facts, self.barriers)

    def _run_at_import(self, unit: Unit) -> set[Function]:
        """What the top of a module runs; a decorator has the colour of what it decorates."""
        made: set[Function] = set()
        called: set[Function] = set()
        for call, targets in unit.uses.calls:
            decorated = self.facts.parent(call)
            decorates = isinstance(decorated, ast.FunctionDef) and call in decorated.decorator_list
            (made if decorates else called).update(targets)
        run = {each for each in unit.uses.runs if each in called or each not in made}
        return run - self.idle

    def _provided(self, function: Function) -> set[Function]:
        """The dependencies of a function, and theirs."""
        found: set[Function] = set()
        pending = [function]
        while pending:
            for dependency in self.injection.dependencies(pending.pop()):
                for provider in self.injection.providers(dependency):
                    if provider not in found:
                        found.add(provider)
                        pending.append(provider)
        return found

    def _is_alone(self, function: Function) -> bool:
        """Whether nobody in sight calls a function."""
        callers = {unit.function for unit in self.units.called[function] if unit.module not in self.suite}
        if callers - {function} or function.outer is not None:
            return False
        return not self.barriers.is_script(function) and not self.barriers.cannot_await(function)

    def _handed(
        self, node: ast.expr, function: Function, asynchronous: set[Function], synchronous: set[Function]
    ) -> None:
        name = self.facts.receiver(node)
        if self.selected is not None and name in ASYNC_CALLS:
            return
        if name in ASYNC_CALLS or (name in TO_THREAD and self.selected is None):
            asynchronous.add(function)
        elif name in SYNC_CALLS and function.outer is None:
            synchronous.add(function)


__all__ = ["Roots"]
