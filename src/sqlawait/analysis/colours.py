"""Which functions run on the event loop, and what they do there.

A coroutine runs on the loop, and so does every plain function that it calls. Plain routes and dependencies, and
what is handed to ``to_thread``, ``run_in_threadpool``, ``run_sync`` or an executor, run in a thread: a function
that is only handed on is not called, so it never gets the loop's colour.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .calls import Calls, Outward
from .declarations import Function
from .library import Effect, effect_of
from .special import has_sync_bind

BOUND = {
    "sqlalchemy.inspect",
    *(f"sqlalchemy.MetaData.{name}" for name in ("create_all", "drop_all", "reflect")),
}
"""Calls that block when what they are given does."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call on the way to an effect."""

    function: Function
    """The function that the call stands in."""
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Trail:
    """How a function comes to an effect: the calls on the way, the last of which has it."""

    effect: Effect
    steps: tuple[Step, ...]
    what: str
    """What is called at the end: ``requests.get``, ``Session.execute``."""


class Colours:
    """Who runs on the loop, and which effects a call has."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._trails: dict[Function, dict[Effect, Trail]] = {}
        self._carriers: dict[str, set[Function]] = {}

    @cached_property
    def on_loop(self) -> dict[Function, tuple[Function, ...]]:
        """Every function that runs on the loop, with the calls that lead there from a coroutine."""
        found: dict[Function, tuple[Function, ...]] = {}
        pending: deque[Function] = deque()
        for function in self.calls.inference.project.functions:
            if function.is_async:
                found[function] = (function,)
                pending.append(function)
        while pending:
            function = pending.popleft()
            for edge in self.calls.edges(function):
                if edge.target not in found:
                    found[edge.target] = (*found[function], edge.target)
                    pending.append(edge.target)
        return found

    @cached_property
    def in_thread(self) -> set[Function]:
        """Plain functions that a thread runs: routes, dependencies, what is handed on, and all that these
        call."""
        injection = self.calls.inference.injection
        start = [f for f in [*injection.routes, *injection.all] if not f.is_async]
        for calls in self.calls.inference.project.collected.calls.values():
            for call in calls:
                start += [u for u in self._handed(call) if not u.is_async]
        found = set(start)
        pending = list(found)
        while pending:
            for edge in self.calls.edges(pending.pop()):
                if edge.target not in found and not edge.target.is_async:
                    found.add(edge.target)
                    pending.append(edge.target)
        return found

    @cached_property
    def callers(self) -> dict[Function, set[Function]]:
        """The functions that run each function."""
        found: dict[Function, set[Function]] = {}
        for function in self.calls.inference.project.functions:
            for edge in self.calls.edges(function):
                found.setdefault(edge.target, set()).add(function)
        return found

    def carriers(self, name: str, does: Callable[[Function], bool]) -> set[Function]:
        """The functions that do something, themselves or by what they run; worked out once a ``name``."""
        if name not in self._carriers:
            found = {each for each in self.calls.inference.project.functions if does(each)}
            pending = list(found)
            while pending:
                for caller in self.callers.get(pending.pop(), ()):
                    if caller not in found:
                        found.add(caller)
                        pending.append(caller)
            self._carriers[name] = found
        return self._carriers[name]

    def effects(self, function: Function) -> dict[Effect, Trail]:
        """What running a plain function does to its thread, with one way there for each effect."""
        if function not in self._trails:
            found = self._trails[function] = {}
            for outward in self.calls.outward(function):
                effect = self.effect(outward)
                if effect is not None and effect not in found:
                    found[effect] = Trail(effect, (Step(function, outward.node),), short(outward.name))
            for edge in self.calls.edges(function):
                if edge.target.is_async or edge.target is function:
                    continue
                for effect, trail in self.effects(edge.target).items():
                    if effect not in found:
                        found[effect] = Trail(effect, (Step(function, edge.node), *trail.steps), trail.what)
        return self._trails[function]

    def effect(self, outward: Outward) -> Effect | None:
        """What one call that leaves the code base does."""
        if outward.function is not None:
            if outward.name in BOUND and isinstance(outward.node, ast.Call):
                return "database" if has_sync_bind(self.calls.inference, outward.node) else None
            return "database" if outward.blocks else None
        return effect_of(outward.name)

    def _handed(self, call: ast.Call) -> list[Function]:
        return [u.function for u in self.calls.inference.calling.targets(call) if u.handed_on]


def short(name: str) -> str:
    """``Session.execute`` for ``sqlalchemy.orm.Session.execute``."""
    if name.startswith("sqlalchemy."):
        return ".".join(name.split(".")[-2:])
    return name.removeprefix("builtins.")


__all__ = ["Colours", "Step", "Trail", "short"]
