"""Which functions become async, which stay sync, and which are needed as both.

Async roots (routes, dependencies, coroutines, and what nobody in sight calls) and sync roots (tasks of a
worker, commands, code that runs at import, callbacks of libraries) are followed along the calls. A function
reached from the first alone is converted in place; from the second alone, left as it is; from both, converted
with a sync twin beside it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Binding, Function, Module

from .barriers import Barriers
from .facts import Facts
from .handing import ASYNC_CALLS, SYNC_CALLS
from .holders import Holders
from .kinds import kind_of
from .makers import find_makers
from .resources import Resource, settle
from .roots import Roots
from .units import Unit, Units


@dataclass
class Colours:
    """The outcome."""

    units: dict[Function, Unit]
    tops: dict[Module, Unit]
    converted: set[Function] = field(default_factory=set)
    kept: set[Function] = field(default_factory=set)
    awaited: set[Function] = field(default_factory=set)
    """Converted functions that become ``async def``."""
    touching: set[Function] = field(default_factory=set)
    """Functions that have anything to do with the database."""
    stuck: set[Function] = field(default_factory=set)
    """Functions that async code reaches, that wait, and that cannot be coroutine functions."""
    changed: set[Function] = field(default_factory=set)
    """Converted functions whose body is not what it was."""

    @property
    def twins(self) -> set[Function]:
        """Functions that are needed both ways, and can be there twice."""
        return (self.changed & self.kept) - self.single

    @property
    def single(self) -> set[Function]:
        """Constructors that are needed both ways: a class has one."""
        both = self.changed & self.kept
        return {each for each in both if each.name == "__init__" and each not in self.awaited}


class Painter:
    """Works the colours out."""

    def __init__(
        self,
        facts: Facts,
        *,
        barriers: Barriers,
        resources: dict[Binding, Resource],
        suite: set[Module],
        selected: Callable[[Function], bool] | None = None,
    ) -> None:
        self.facts = facts
        self.barriers = barriers
        self.resources = resources
        self.suite = suite
        self.selected = selected
        self.units = Units(facts)
        self.holders = Holders(facts)
        self.makers = find_makers(facts, self.units.functions, resources)
        self.idle = {each for each in self.makers if not self.units.waits(each, set())}
        """Those that wait for nothing: at import they can make either kind."""

    def paint(self) -> Colours:
        """Colour the code base."""
        colours = Colours(self.units.functions, self.units.tops)
        colours.touching = self.units.touching() | self.makers.keys()
        roots = Roots(
            self.facts,
            self.units,
            barriers=self.barriers,
            holders=self.holders,
            idle=self.idle,
            suite=self.suite,
            selected=self.selected,
        )
        asynchronous, synchronous = roots.find()
        colours.converted = self._reach(asynchronous, colours, whole=True)
        colours.stuck = self._stuck(colours)
        if colours.stuck:
            synchronous |= colours.stuck
            colours.converted = self._reach(asynchronous, colours, without=colours.stuck, whole=True)
        if self.selected is not None:
            rest = colours.touching - colours.converted
            synchronous |= {each for each in rest if not each.is_async and each.module not in self.suite}
        colours.kept = self._reach(synchronous, colours)
        self._follow_users(colours)
        colours.awaited = self._awaited(colours)
        colours.changed = self._changed(colours)
        return colours

    def _follow_users(self, colours: Colours) -> None:
        """Give what makes engines and factories at import the colour of who uses them."""
        before = -1
        while (now := len(colours.converted) + len(colours.kept)) != before:
            before = now
            settle(self.facts, self.resources, colours)
            for function in self.idle:
                if any(each.asynchronous for each in self.makers[function]):
                    colours.converted |= self._reach([function], colours, whole=True)
                if any(each.synchronous for each in self.makers[function]):
                    colours.kept |= self._reach([function], colours)

    def _stuck(self, colours: Colours) -> set[Function]:
        waiting = {each for each in colours.converted if colours.units[each].uses.awaits}
        pending = list(waiting)
        while pending:
            function = pending.pop()
            if self.barriers.cannot_await(function):
                continue
            for unit in self.units.called[function]:
                if unit.function in colours.converted and unit.function not in waiting:
                    waiting.add(unit.function)
                    pending.append(unit.function)
        unseen = {each for each in colours.units if self._is_unseen(each, colours)}
        return {each for each in waiting if self.barriers.cannot_await(each)} | unseen

    def _is_unseen(self, function: Function, colours: Colours) -> bool:
        """Whether a method that nobody in sight calls waits, and cannot be a coroutine."""
        if function in colours.converted or function.cls is None or not colours.units[function].uses.waits:
            return False
        if function.module in self.suite or self.barriers.is_barrier(function):
            return False
        if not self.barriers.cannot_await(function):
            return False
        return not self.units.called[function] and any(
            each in colours.converted for each in function.cls.methods.values()
        )

    def _reach(
        self,
        roots: Iterable[Function],
        colours: Colours,
        *,
        without: Container[Function] = (),
        whole: bool = False,
    ) -> set[Function]:
        """What the roots come to; ``whole``: with the wrappers, and the other methods of objects
        that hold a session."""
        found: set[Function] = set()
        pending = [each for each in roots if each in colours.touching]
        while pending:
            function = pending.pop()
            if function in found or function not in colours.units or function in without:
                continue
            found.add(function)
            unit = colours.units[function]
            near = list(unit.uses.runs)
            near += list(self.units.family[function])
            near += [each for each in colours.units if each.outer is function]
            if whole:
                near += [*self.holders.beside(function, self.barriers), *self.units.wrappers(function)]
            if function.cls is not None and "__init__" in function.cls.methods:
                near.append(function.cls.methods["__init__"])
            near += [
                each
                for _, each in unit.uses.references
                if self.facts.receiver(_) not in SYNC_CALLS | ASYNC_CALLS
            ]
            pending += [each for each in near if each in colours.touching]
        return found

    def _awaited(self, colours: Colours) -> set[Function]:
        found = {
            each
            for each in colours.converted
            if colours.units[each].uses.awaits and not self.barriers.cannot_await(each)
        }
        # A generator that hands out a session closes it, and so it waits.
        pending = list(found)
        while pending:
            function = pending.pop()
            callers = {unit.function for unit in self.units.called[function]}
            near = callers | self.units.family[function] | self.units.wrapped[function]
            for each in colours.converted & near:
                if each not in found and not self.barriers.cannot_await(each):
                    found.add(each)
                    pending.append(each)
        return found

    def _changed(self, colours: Colours) -> set[Function]:
        """What the rewrites will change, and what calls it."""
        found = {
            each for each in colours.converted if each in colours.awaited or colours.units[each].uses.waits
        }
        found |= {each for each in colours.converted if self._makes(each)}
        users: dict[Function, set[Function]] = defaultdict(set)
        injection = self.facts.inference.injection
        for each in colours.converted:
            for dependency in injection.dependencies(each):
                for provider in injection.providers(dependency):
                    users[provider].add(each)
        pending = list(found)
        while pending:
            function = pending.pop()
            callers = {unit.function for unit in self.units.called[function] if unit.function is not None}
            for caller in (callers | users[function]) & colours.converted:
                if caller not in found:
                    found.add(caller)
                    pending.append(caller)
        return {each for each in found if each in self.makers or not self.barriers.cannot_await(each)}

    def _makes(self, function: Function) -> bool:
        kept = {each.call for each in self.resources.values()}
        calls = (node for node in function.own_nodes if isinstance(node, ast.Call) and node not in kept)
        return function in self.makers or any(kind_of(node, self.facts) for node in calls)


__all__ = ["Colours", "Painter"]
