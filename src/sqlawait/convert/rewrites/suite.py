"""The test suite: sync tests stay sync, and reach the async application through a small bridge beside them.

Calls of functions that became async are waited for; sessions, engines and connections are handed over as their
async counterparts and taken back as the sync ones inside; overrides of dependencies give the async session.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis.declarations import Binding, Class, Function, Module, last_name
from sqlawait.analysis.types import members
from sqlawait.convert.bridge import NAME
from sqlawait.convert.classes import SESSION
from sqlawait.convert.colours import Colours
from sqlawait.convert.context import Context
from sqlawait.convert.drivers import Drivers, async_url
from sqlawait.convert.facts import Facts
from sqlawait.convert.holders import Holders
from sqlawait.convert.kinds import kind_of
from sqlawait.convert.resources import Resource
from sqlawait.convert.unbound import Unbound, hand_session, session_at

from .stand_ins import StandIns

PATCHES = {"patch", "object", "setattr"}
"""Calls that put what they are given in the place of something else."""


class Suite:
    """Rewrites the files of a test suite."""

    def __init__(
        self,
        facts: Facts,
        colours: Colours,
        resources: dict[Binding, Resource],
        drivers: Drivers,
        unbound: Unbound,
    ) -> None:
        self.facts = facts
        self.colours = colours
        self.resources = resources
        self.drivers = drivers
        self.unbound = unbound
        units = (*colours.units.values(), *colours.tops.values())
        self.patches = {
            function
            for unit in units
            for node, function in unit.uses.references
            if facts.receiver(node) in PATCHES
        }
        """Functions that are put in the place of others."""
        self.holders = {
            each
            for each in Holders(facts).classes
            if any(method in colours.converted for method in each.methods.values())
        }
        """Classes whose objects hold an async session."""
        self.stand_ins = StandIns(facts, colours, resources)
        self.changed = {
            each for each in colours.converted if each in colours.changed or each in colours.awaited
        }
        self.endpoints = set(self._routes())
        """Routes of the tests' own: the functions that have a decorator, or where a call names them."""

    def needs_bridge(self, modules: list[Module]) -> bool:
        """Whether the tests reach into the application by more than requests."""
        for module in modules:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and (self._reaches(node) or self.stand_ins.replacing(node)):
                    return True
                if node in self.endpoints:
                    return True
                if (
                    isinstance(node, ast.Attribute)
                    and node.attr == "dependency_overrides"
                    and self.stand_ins.overriding(node)
                ):
                    return True
                if (
                    isinstance(node, ast.Name | ast.Attribute)
                    and isinstance(node.ctx, ast.Load)
                    and self._resource(node)
                ):
                    return True
        return False

    def rewrite(self, module: Module, context: Context, *, bridge: bool) -> None:
        """Rewrite one file."""
        nodes = sorted(
            (n for n in ast.walk(module.tree) if isinstance(n, ast.expr) and hasattr(n, "lineno")),
            key=lambda n: (
                (n.end_lineno or 0) * 10000 + (n.end_col_offset or 0) - n.lineno * 10000 - n.col_offset
            ),
        )
        if bridge:
            self._at_import(module, context)
            self._decorated(module, context)
        for node in nodes:
            if isinstance(node, ast.Call):
                self.stand_ins.mock(node, context)
                self.stand_ins.patch(node, context)
                if bridge:
                    self.stand_ins.replace(node, context)
                    self._call(node, context)
                    self._engine(node, context)
            elif bridge and isinstance(node, ast.Name | ast.Attribute) and self._is_async_now(node):
                context.edits.wrap_node(node, f"{self._bridge('synchronous', context)}(", ")")
            if bridge and isinstance(node, ast.Attribute) and node.attr == "dependency_overrides":
                self.stand_ins.override(node, context)
            if bridge and node in self.endpoints:
                context.edits.wrap_node(node, f"{self._bridge('endpoint', context)}(", ")")

    def _at_import(self, module: Module, context: Context) -> None:
        """What a file does to the database when it is imported runs in a greenlet too."""
        for statement in module.tree.body:
            call = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(call, ast.Call) and any(
                map(self._is_handle, [*call.args, *(k.value for k in call.keywords)])
            ):
                start, end = context.edits.start(call), context.edits.end(call.func)
                context.edits.replace(start, start, f"{self._bridge('enter', context)}(")
                opening = context.edits.find("(", end)
                context.edits.replace(end, opening + 1, ", ")

    def _bridge(self, name: str, context: Context) -> str:
        """Import a name of the bridge; the source is settled when it is known where the file goes."""
        return context.need(NAME, name)

    # -- calls -------------------------------------------------------------------------------------------------

    def _targets(self, call: ast.Call) -> list[Function]:
        return list(self.facts.targets(call))

    def _reaches(self, call: ast.Call) -> bool:
        targets = self._targets(call)
        gives = all(map(self._of_application, targets)) and self._gives_handle(call)
        return any(each in self.changed or gives or self._takes(call, each) for each in targets)

    def _takes(self, call: ast.Call, target: Function) -> bool:
        """Whether a function of the application is given a session, an engine or a connection."""
        return target in self.colours.converted and any(
            map(self._is_handle, [*call.args, *(k.value for k in call.keywords)])
        )

    def _is_handle(self, node: ast.expr) -> bool:
        facts = self.facts
        return (
            facts.is_session(node) or facts.is_engine(node) or facts.is_connection(node) or facts.is_query(node)
        )

    def _of_application(self, target: Function) -> bool:
        return target in self.colours.converted

    def _stays_sync(self, target: Function) -> bool:
        return target in self.colours.kept and target not in self.colours.converted

    def _holds_session(self, node: ast.expr) -> bool:
        """Whether it is an object of the application that holds an async session now."""
        return any(
            each.kind == "instance" and each.decl in self.holders for each in members(self.facts.type_of(node))
        )

    def _call(self, call: ast.Call, context: Context) -> None:
        targets = self._targets(call)
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        for argument in arguments if targets and all(map(self._stays_sync, targets)) else ():
            if self._holds_session(argument):
                context.edits.wrap_node(argument, f"{self._bridge('synchronous', context)}(", ")")
        if not targets or not all(self._of_application(each) for each in targets):
            return
        for argument in arguments:
            if not isinstance(argument, ast.Starred) and self._is_handle(argument):
                context.edits.wrap_node(argument, f"{self._bridge('asynchronous', context)}(", ")")
        if targets[0] in self.unbound.functions:
            session = session_at(call, targets[0], self.facts)
            if session:
                hand_session(call, f"{self._bridge('asynchronous', context)}({session})", context)
        awaited = [
            each
            for each in targets
            if each in self.colours.awaited and each.name != "__init__" and not each.is_async
        ]
        if awaited and len(awaited) == len(targets):
            self._wait(call, awaited, context)
        if self._gives_handle(call) and not self._stands_in(call):
            context.edits.wrap_node(call, f"{self._bridge('synchronous', context)}(", ")")

    def _stands_in(self, call: ast.Call) -> bool:
        """Whether it is in a function that replaces one of the application, and hands on what it gets.

        What such a function gives goes to the application, and stays as the application knows it.
        """
        function = self.facts.project.function_of(call)
        if function is None or function not in self.patches:
            return False
        return not any(
            isinstance(node, ast.Attribute) and self._is_handle(node.value) for node in function.own_nodes
        )

    def _gives_handle(self, call: ast.Call) -> bool:
        if self._is_handle(call) or self._is_factory(call):
            return True
        returned = [value for target in self._targets(call) if not target.yields for value in target.returns]
        return any(self._is_handle(value) or self._is_factory(value) for value in returned)

    def _is_factory(self, node: ast.expr) -> bool:
        return any(
            each.kind == "instance" and self.facts.inference.is_a(each, "sqlalchemy.orm.sessionmaker")
            for each in members(self.facts.type_of(node))
        )

    def _wait(self, call: ast.Call, awaited: list[Function], context: Context) -> None:
        if any(each.yields for each in awaited):
            parent = self.facts.parent(call)
            if isinstance(parent, ast.Call) and last_name(parent.func) == "next":
                context.edits.replace_node(parent.func, "anext")
                opening = f"{self._bridge('wait', context)}("
                if self._is_handle(parent):
                    opening = f"{self._bridge('synchronous', context)}({opening}"
                context.edits.wrap_node(parent, opening, ")" * opening.count("("))
            elif isinstance(parent, ast.withitem):
                context.edits.wrap_node(call, f"{self._bridge('entered', context)}(", ")")
            return
        function = self.facts.project.function_of(call)
        if isinstance(self.facts.parent(call), ast.Await):
            return
        if function is not None and function.is_async:
            if self.facts.needs_parentheses(call):
                context.edits.wrap_node(call, "(await ", ")")
            else:
                context.edits.wrap_node(call, "await ", "")
        else:
            context.edits.wrap_node(call, f"{self._bridge('wait', context)}(", ")")

    def _engine(self, call: ast.Call, context: Context) -> None:
        """An engine of the suite's own goes through the async driver too: its sessions can be shared."""
        if kind_of(call, self.facts) != "engine" or last_name(call.func) != "create_engine":
            return
        context.edits.replace_node(call.func, context.need("sqlalchemy.ext.asyncio", "create_async_engine"))
        url = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "url"), None)
        if url is not None:
            async_url(url, context, self.drivers)
        context.edits.wrap_node(call, "", ".sync_engine")

    # -- names -------------------------------------------------------------------------------------------------

    def _is_async_now(self, node: ast.Name | ast.Attribute) -> bool:
        """Whether a name or an attribute gives what became an async session, engine or factory."""
        if not isinstance(node.ctx, ast.Load):
            return False
        return (self._resource(node) and not self._is_patched(node)) or self._held(node)

    def _resource(self, node: ast.Name | ast.Attribute) -> bool:
        for definition in self.facts.inference.attributes.bindings(node):
            resource = self.resources.get(definition)
            if resource is not None and resource.asynchronous:
                return self._definition_elsewhere(node, resource)
        return False

    def _held(self, node: ast.Name | ast.Attribute) -> bool:
        """Whether it is the session of an object of the application, which is an async one now."""
        return (
            isinstance(node, ast.Attribute)
            and self.facts.is_session(node)
            and any(
                each.kind == "instance"
                and isinstance(each.decl, Class)
                and any(method in self.changed for method in each.decl.methods.values())
                for each in members(self.facts.type_of(node.value))
            )
        )

    def _definition_elsewhere(self, node: ast.expr, resource: Resource) -> bool:
        return self.facts.project.module_of(node) is not resource.module

    def _is_patched(self, node: ast.expr) -> bool:
        """Whether a name is only named to be replaced."""
        parent = self.facts.parent(node)
        return (
            isinstance(parent, ast.Call)
            and last_name(parent.func) in ("setattr", "object")
            and node in parent.args[:1]
        )

    # -- routes ------------------------------------------------------------------------------------------------

    def _routes(self) -> Iterator[ast.AST]:
        injection = self.facts.inference.injection
        decorated = {function.node for function in injection.routes if self._serves(function)}
        for _, endpoint in injection.registered:
            for each in members(self.facts.type_of(endpoint)):
                if isinstance(each.decl, Function) and each.decl.node in decorated:
                    decorated.discard(each.decl.node)
                    yield endpoint
        yield from decorated

    def _serves(self, function: Function) -> bool:
        """Whether a route works on a session of the application, or runs what became async."""
        unit = self.colours.units.get(function)
        inference = self.facts.inference
        given = (each for param in function.params for each in members(inference.param_type(function, param)))
        return any(inference.is_a(each, SESSION) for each in given) or (
            unit is not None and any(each in self.changed for each in unit.uses.runs)
        )

    def _decorated(self, module: Module, context: Context) -> None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node in self.endpoints:
                indent = context.edits.indent_of(node.lineno)
                context.edits.insert_line(node.lineno, f"{indent}@{self._bridge('endpoint', context)}\n")


__all__ = ["Suite"]
