"""Which functions become async, which stay sync, and which are needed as both.

Async roots (routes, dependencies, coroutines, and what nobody in sight calls) and sync roots (tasks of a
worker, commands, code that runs at import, callbacks of libraries) are followed along the calls. A function
reached from the first alone is converted in place; from the second alone, left as it is; from both, converted
with a sync twin beside it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Binding, Class, Function, Module
from sqlawait.analysis.types import members

from .barriers import Barriers
from .borrowing import borrowers
from .facts import Facts
from .kinds import kind_of
from .makers import find_makers
from .resources import Resource, settle
from .rewrites.lambdas import PER_ITEM
from .waits import TO_THREAD, Uses, uses_of

ASYNC_CALLS = {
    "Depends", "Security", "add_task", "BackgroundTask", "add_api_route", "add_event_handler",
    "add_exception_handler", "exception_handler", "middleware", "create_task", "ensure_future",
    "add_api_websocket_route", "on_event", "Provide",
}  # fmt: skip
"""What takes a function that may as well be a coroutine function."""
IN_GREENLET = {"run_sync", "greenlet_spawn"}
"""Calls in whose function sync code may wait."""
SYNC_CALLS = TO_THREAD | {
    "submit", "Thread", "Process", "Timer", "signal", "listen", "register", "add_job", "reduce", "groupby",
    "apply_async", "delay", "run_sync", "Command",
    "add_command", "every", "do", "default_factory", "Column", "mapped_column", "relationship", "Field",
    "property", "add_middleware_sync", "target",
}  # fmt: skip
"""What calls the function it is given, and does not await."""


@dataclass(eq=False)
class Unit:
    """A function, or the code at the top of a module and of its classes."""

    module: Module
    function: Function | None
    uses: Uses


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
        """Functions that are needed both ways."""
        return self.changed & self.kept


class Painter:
    """Works the colours out."""

    def __init__(
        self,
        facts: Facts,
        *,
        barriers: Barriers,
        is_test: Callable[[Module], bool],
        resources: dict[Binding, Resource] | None = None,
        convert_tests: bool = False,
        selected: Callable[[Function], bool] | None = None,
    ) -> None:
        self.facts = facts
        self.project = facts.project
        self.barriers = barriers
        self.is_test = is_test
        self.resources = resources if resources is not None else {}
        self.convert_tests = convert_tests
        self.selected = selected
        self.injection = facts.inference.injection

    def paint(self) -> Colours:
        """Colour the code base."""
        colours = self.colours = self._units()
        self._callers(colours)
        self.makers = find_makers(self.facts, colours.units, self.resources)
        self.idle = {each for each in self.makers if not self._waits(each, set())}
        """Those that wait for nothing: at import they can make either kind."""
        colours.touching = self._touching(colours) | self.makers.keys()
        self.holders = self._holders()
        asynchronous, synchronous = self._roots(colours)
        colours.converted = self._reach(asynchronous, colours, whole=True)
        colours.stuck = self._stuck(colours)
        if colours.stuck:
            synchronous |= colours.stuck
            colours.converted = self._reach(asynchronous, colours, without=colours.stuck, whole=True)
        if self.selected is not None:
            rest = colours.touching - colours.converted
            synchronous |= {each for each in rest if not each.is_async and not self._left_out(each.module)}
        colours.kept = self._reach(synchronous, colours)
        self._follow_users(colours)
        colours.awaited = self._awaited(colours)
        colours.changed = self._changed(colours)
        return colours

    # -- what each function does -------------------------------------------------------------------------------

    def _units(self) -> Colours:
        units: dict[Function, Unit] = {}
        tops: dict[Module, Unit] = {}
        for function in self.project.functions:
            if not isinstance(function.node, ast.Lambda):
                units[function] = Unit(function.module, function, uses_of(self._nodes(function), self.facts))
        for module in self.project.modules.values():
            nodes = [node for statement in module.tree.body for node in _top(statement)]
            tops[module] = Unit(module, None, uses_of(nodes, self.facts))
        return Colours(units, tops)

    def _nodes(self, function: Function) -> list[ast.AST]:
        """The nodes of a function and of its lambdas: a lambda has the colour of the function around it."""
        found: list[ast.AST] = []
        for node in function.own_nodes:
            found.append(node)
            if isinstance(node, ast.Lambda) and self.facts.receiver(node) not in IN_GREENLET:
                found += list(ast.walk(node.body))
        return found

    def _callers(self, colours: Colours) -> None:
        self.called: dict[Function, set[Unit]] = defaultdict(set)
        self.family: dict[Function, set[Function]] = defaultdict(set)
        self.wrapped: dict[Function, set[Function]] = defaultdict(set)
        """What each wrapper of the code base is put around: it waits where its wrapper does."""
        for function in colours.units:
            for wrapper in self._wrappers(function):
                self.wrapped[wrapper].add(function)
        for unit in [*colours.units.values(), *colours.tops.values()]:
            for target in unit.uses.runs:
                self.called[target].add(unit)
            for node, handed in unit.uses.references:
                if self.facts.receiver(node) in PER_ITEM | TO_THREAD:
                    self.called[handed].add(unit)
        for cls in self.project.classes:
            for base, _ in self.facts.inference.bases(cls)[1:]:
                for name, method in cls.methods.items():
                    other = base.methods.get(name)
                    if (
                        other is not None
                        and not base.module.stub
                        and name not in ("__init__", "__repr__", "__str__")
                    ):
                        self.family[method].add(other)
                        self.family[other].add(method)

    def _touching(self, colours: Colours) -> set[Function]:
        found = {f for f, unit in colours.units.items() if unit.uses.waits or self._provides(f)}
        pending = list(found)
        while pending:
            function = pending.pop()
            near = [unit.function for unit in self.called[function] if unit.function is not None]
            near += [*self.family[function], *self.wrapped[function]]
            if function.outer is not None and not isinstance(function.outer.node, ast.Lambda):
                near.append(function.outer)
            for each in near:
                if each not in found and each in colours.units:
                    found.add(each)
                    pending.append(each)
        return found

    def _holders(self) -> set[Class]:
        """Classes whose objects hold a session, or an object that does."""
        found: set[Class] = set()
        classes = [each for each in self.project.classes if not self.facts.inference.models.is_model(each)]
        before = -1
        while len(found) != before:
            before = len(found)
            found |= {each for each in classes if each not in found and self._holds(each, found)}
        return found

    def _holds(self, cls: Class, holders: set[Class]) -> bool:
        for base, _ in self.facts.inference.bases(cls):
            for bindings in () if base.module.stub else base.assigned.values():
                for value in [each.value for each in bindings if each.value is not None]:
                    if self.facts.is_session(value):
                        return True
                    if any(
                        each.kind == "instance" and each.decl in holders
                        for each in members(self.facts.type_of(value))
                    ):
                        return True
        return False

    def _beside(self, function: Function) -> Iterator[Function]:
        """The other methods of an object that holds an async session: none of them can use it as a sync one."""
        if function.cls is not None and function.cls in self.holders and function.name != "__init__":
            for base, _ in self.facts.inference.bases(function.cls):
                for method in () if base.module.stub else base.methods.values():
                    if not self.barriers.cannot_await(method) and not self.barriers.is_barrier(method):
                        yield method

    def _provides(self, function: Function) -> bool:
        """Whether a function hands out a session, an engine or a query, or is annotated to take one."""
        result = self.facts.inference.result_of(function)
        names = (
            "sqlalchemy.orm.Session",
            "sqlalchemy.Engine",
            "sqlalchemy.orm.Query",
            "sqlalchemy.orm.sessionmaker",
        )
        inner = [part for each in members(result) for part in [each, *each.args]]
        for param in function.params:
            if param.annotation is not None:
                inner += list(members(self.facts.inference.param_type(function, param)))
        return any(
            each.kind == "instance" and any(self.facts.inference.is_a(each, n) for n in names) for each in inner
        )

    # -- where it starts ---------------------------------------------------------------------------------------

    def _roots(self, colours: Colours) -> tuple[set[Function], set[Function]]:
        asynchronous: set[Function] = set()
        synchronous: set[Function] = set()
        entries = set(self.injection.routes) | set(self.injection.all)
        functions = [each for each in colours.units if not self._left_out(each.module)]
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
            for node, handed in colours.units[function].uses.references:
                self._handed(node, handed, asynchronous, synchronous)
        for module, unit in colours.tops.items():
            if not self._left_out(module):
                synchronous.update(self._run_at_import(unit))
                for node, handed in unit.uses.references:
                    self._handed(node, handed, asynchronous, synchronous)
        if self.selected is None:
            rooted = asynchronous | synchronous
            asynchronous |= {each for each in functions if each not in rooted and self._is_alone(each)}
        return asynchronous, synchronous

    def _borrowing(self, functions: list[Function]) -> set[Function]:
        callers = {
            each: {unit.function for unit in self.called[each] if not self._left_out(unit.module)}
            for each in functions
        }
        return borrowers(functions, callers, self.holders, self.facts, self.barriers)

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

    def _waits(self, function: Function, seen: set[Function]) -> bool:
        if function in seen or function not in self.colours.units:
            return False
        seen.add(function)
        uses = self.colours.units[function].uses
        return uses.awaits or any(self._waits(each, seen) for each in uses.runs)

    def _wrappers(self, function: Function) -> list[Function]:
        """What the decorators of the code base put in the place of a function, and those decorators."""
        found = [self.facts.inference.decorating.wrapper(each) for each in function.decorators]
        return [each for wrapper in found if wrapper is not None for each in (wrapper, wrapper.outer) if each]

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

    def _left_out(self, module: Module) -> bool:
        return self.is_test(module) and not self.convert_tests

    def _is_alone(self, function: Function) -> bool:
        """Whether nobody in sight calls a function."""
        callers = {unit.function for unit in self.called[function] if not self._left_out(unit.module)}
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

    # -- where it goes -----------------------------------------------------------------------------------------

    def _stuck(self, colours: Colours) -> set[Function]:
        waiting = {each for each in colours.converted if colours.units[each].uses.awaits}
        pending = list(waiting)
        while pending:
            function = pending.pop()
            if self.barriers.cannot_await(function):
                continue
            for unit in self.called[function]:
                if unit.function in colours.converted and unit.function not in waiting:
                    waiting.add(unit.function)
                    pending.append(unit.function)
        unseen = {each for each in colours.units if self._is_unseen(each, colours)}
        return {each for each in waiting if self.barriers.cannot_await(each)} | unseen

    def _is_unseen(self, function: Function, colours: Colours) -> bool:
        """Whether a method that nobody in sight calls waits, and cannot be a coroutine."""
        if function in colours.converted or function.cls is None or not colours.units[function].uses.waits:
            return False
        if self._left_out(function.module) or self.barriers.is_barrier(function):
            return False
        if not self.barriers.cannot_await(function):
            return False
        return not self.called[function] and any(
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
            near += list(self.family[function])
            near += [each for each in colours.units if each.outer is function]
            if whole:
                near += [*self._beside(function), *self._wrappers(function)]
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
            near = [
                u.function
                for u in self.called[function]
                if u.function is not None and u.function in colours.converted
            ]
            near += [
                each for each in (*self.family[function], *self.wrapped[function]) if each in colours.converted
            ]
            for each in near:
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
        for each in colours.converted:
            for dependency in self.injection.dependencies(each):
                for provider in self.injection.providers(dependency):
                    users[provider].add(each)
        pending = list(found)
        while pending:
            function = pending.pop()
            callers = {unit.function for unit in self.called[function] if unit.function is not None}
            for caller in (callers | users[function]) & colours.converted:
                if caller not in found:
                    found.add(caller)
                    pending.append(caller)
        return {each for each in found if each in self.makers or not self.barriers.cannot_await(each)}

    def _makes(self, function: Function) -> bool:
        kept = {each.call for each in self.resources.values()}
        calls = (node for node in function.own_nodes if isinstance(node, ast.Call) and node not in kept)
        return function in self.makers or any(kind_of(node, self.facts) for node in calls)


def _top(statement: ast.stmt) -> list[ast.AST]:
    """The nodes that run when a module is imported."""
    if isinstance(statement, ast.ClassDef):
        found: list[ast.AST] = [
            n for d in [*statement.decorator_list, *statement.bases] for n in _expression(d)
        ]
        return found + [node for each in statement.body for node in _top(each)]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        spec = statement.args
        parts = [*statement.decorator_list, *spec.defaults, *(d for d in spec.kw_defaults if d is not None)]
        parts += [
            a.annotation for a in [*spec.posonlyargs, *spec.args, *spec.kwonlyargs] if a.annotation is not None
        ]
        return [node for each in parts for node in _expression(each)]
    found = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        found.append(node)
        if isinstance(node, ast.Lambda):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) and isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                found += _top(child)
            else:
                pending.append(child)
    return found


def _expression(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    pending = [node]
    while pending:
        each = pending.pop()
        found.append(each)
        if not isinstance(each, ast.Lambda):
            pending += list(ast.iter_child_nodes(each))
    return found


__all__ = ["Colours", "Painter", "Unit"]
