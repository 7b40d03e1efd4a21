"""FastAPI's dependency injection: what ``Depends`` gives, routes, and which functions a request runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .declarations import Binding, Class, Function, last_name
from .types import Type, instance, members, union

if TYPE_CHECKING:
    from .inference import Inference

METHODS = {
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "head",
    "options",
    "trace",
    "api_route",
    "websocket",
    "websocket_route",
    "route",
}
ADDS = {"add_api_route", "add_api_websocket_route"}
"""Methods of applications and routers that are given the function itself."""
BRIDGED = "endpoint"
"""What a converted suite hands its own routes to."""
DEPENDS = {"Depends", "Security"}


@dataclass(frozen=True, slots=True)
class Dependency:
    """A ``Depends(…)`` as written for one parameter, decorator or router."""

    node: ast.Call
    provider: ast.expr | None
    """What it calls; None where there is nothing to call."""
    scope: str | None = None
    """``"function"``, ``"request"``, or None where nothing is said."""


@dataclass(frozen=True, slots=True)
class Route:
    """A function that answers requests."""

    function: Function
    decorator: ast.Call
    websocket: bool = False

    def option(self, name: str) -> ast.expr | None:
        """The value of an option of the decorator, such as ``response_model``."""
        return next((each.value for each in self.decorator.keywords if each.arg == name), None)


def _route(function: Function, call: ast.Call) -> Route:
    return Route(function, call, websocket="websocket" in last_name(call.func))


class Injection:
    """Dependencies and routes."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._of: dict[ast.arg, Dependency | None] = {}

    def dependency_of(self, function: Function, param: ast.arg) -> Dependency | None:
        """The dependency that fills a parameter."""
        if param not in self._of:
            self._of[param] = None
            if function.node not in self._bridged:
                self._of[param] = self._find(function, param)
        return self._of[param]

    def provided(self, dependency: Dependency) -> Type:
        """What a dependency gives: the yield of a generator, the awaited result of a coroutine."""
        inference = self.inference
        if dependency.provider is None:
            return union([])
        found = []
        for provider in members(inference.type_of(dependency.provider)):
            if provider.kind == "class":
                found.append(inference.instance_of(provider))
                continue
            for each in members(inference.calling.apply(provider)):
                if each.name in ("Generator", "AsyncGenerator"):
                    found += each.args
                elif each.name == "Coroutine":
                    found.append(inference.awaited(each))
                else:
                    found.append(each)
        return union(found)

    def providers(self, dependency: Dependency) -> Iterator[Function]:
        """The functions that a dependency runs."""
        if dependency.provider is not None:
            for each in members(self.inference.type_of(dependency.provider)):
                for use in self.inference.calling.reached(each, dependency.node, (), ()):
                    yield use.function

    def dependencies(self, function: Function) -> Iterator[Dependency]:
        """The dependencies of a function's parameters."""
        for param in function.params:
            found = self.dependency_of(function, param)
            if found is not None:
                yield found

    @cached_property
    def routes(self) -> dict[Function, Route]:
        """The functions that answer requests."""
        found: dict[Function, Route] = {}
        for function in self.inference.project.functions:
            for decorator in function.decorators:
                if isinstance(decorator, ast.Call) and self._is_route(decorator):
                    found[function] = _route(function, decorator)
        for call, endpoint in self.registered:
            for each in members(self.inference.type_of(endpoint)):
                if isinstance(each.decl, Function):
                    found[each.decl] = _route(each.decl, call)
        return found

    @cached_property
    def registered(self) -> list[tuple[ast.Call, ast.expr]]:
        """What a call makes a route, ``app.post("/items")(add)`` or ``app.add_api_route("/items", add)``, with
        the call that has the route's options."""
        project = self.inference.project
        found: list[tuple[ast.Call, ast.expr]] = []
        for name in ADDS:
            for call in project.collected.calls.get(name, ()):
                named = next((each.value for each in call.keywords if each.arg == "endpoint"), None)
                if named is not None or len(call.args) > 1:
                    found.append((call, named or call.args[1]))
        for name in METHODS:
            for call in project.collected.calls.get(name, ()):
                around = project.parent(call)
                if (
                    isinstance(around, ast.Call)
                    and around.func is call
                    and around.args
                    and self._is_route(call)
                ):
                    found.append((call, around.args[0]))
        return found

    @cached_property
    def all(self) -> dict[Function, list[Dependency]]:
        """The functions that dependencies run, with every ``Depends`` that names them."""
        found: dict[Function, list[Dependency]] = {}
        project = self.inference.project
        for name in [*DEPENDS, *self._aliases]:
            for call in dict.fromkeys(project.collected.calls.get(name, ())):
                dependency = self._read(call)
                if dependency is None:
                    continue
                for function in self.providers(dependency):
                    found.setdefault(function, []).append(dependency)
        for function in project.functions:
            for param in function.params:
                dependency = self.dependency_of(function, param)
                if dependency is not None and not dependency.node.args and not dependency.node.keywords:
                    for provider in self.providers(dependency):
                        found.setdefault(provider, []).append(dependency)
        return found

    @cached_property
    def _bridged(self) -> set[ast.AST]:
        """Routes of a converted suite, which are given a sync session in the place of what they depend on."""
        project, names = self.inference.project, self.inference.names
        functions = [each for each in project.functions if BRIDGED in each.decorator_names]
        for call in project.collected.calls.get(BRIDGED, ()):
            if names.qualified(call.func).endswith(f"async_bridge.{BRIDGED}") and call.args:
                functions += [
                    each
                    for d in names.definitions(call.args[0])
                    if isinstance(each := names.declared(d), Function)
                ]
        return {each.node for each in functions}

    @property
    def _aliases(self) -> list[str]:
        return [
            name for name in ("D", "depends", "Dependency") if name in self.inference.project.collected.calls
        ]

    def _find(self, function: Function, param: ast.arg) -> Dependency | None:
        default = function.defaults.get(param.arg)
        if isinstance(default, ast.Call):
            found = self._read(default, param.annotation)
            if found is not None:
                return found
        return self._annotated(param.annotation, 0)

    def _annotated(self, node: ast.expr | None, depth: int) -> Dependency | None:
        if node is None or depth > 6:
            return None
        node = self.inference.annotations.unquoted(node)
        if isinstance(node, ast.Subscript):
            if last_name(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
                for extra in reversed(node.slice.elts[1:]):
                    found = self._extra(extra, node.slice.elts[0])
                    if found is not None:
                        return found
                return self._annotated(node.slice.elts[0], depth + 1)
            return None
        if isinstance(node, ast.Name | ast.Attribute):
            for definition in self.inference.names.definitions(node):
                if isinstance(definition, Binding) and definition.kind in ("assign", "annotated"):
                    found = self._annotated(definition.value, depth + 1)
                    if found is not None:
                        return found
        return None

    def _extra(self, extra: ast.expr, annotation: ast.expr) -> Dependency | None:
        if isinstance(extra, ast.Call):
            return self._read(extra, annotation)
        if isinstance(extra, ast.Name | ast.Attribute):
            for definition in self.inference.names.definitions(extra):
                if isinstance(definition, Binding) and isinstance(definition.value, ast.Call):
                    return self._read(definition.value, annotation)
        return None

    def _read(self, call: ast.Call, annotation: ast.expr | None = None) -> Dependency | None:
        name = self.inference.names.qualified(call.func)
        if name.rpartition(".")[2] not in DEPENDS or not name.startswith(
            ("fastapi", "taskiq", "fast_depends", "faststream")
        ):
            return None
        provider = call.args[0] if call.args else None
        scope: str | None = None
        for each in call.keywords:
            if each.arg == "dependency":
                provider = each.value
            elif each.arg == "scope" and isinstance(each.value, ast.Constant):
                scope = str(each.value.value)
        return Dependency(call, provider if provider is not None else annotation, scope)

    def _is_route(self, decorator: ast.Call) -> bool:
        if not isinstance(decorator.func, ast.Attribute) or decorator.func.attr not in METHODS:
            return False
        owner = self.inference.type_of(decorator.func.value)
        for each in members(owner):
            if each.kind == "external" and each.name.endswith(("FastAPI()", "APIRouter()", "Router()")):
                return True
            if isinstance(each.decl, Class):
                outside = self.inference.attributes.outside_bases(each.decl)
                if any(name.endswith(("FastAPI", "Router")) for name in outside):
                    return True
        if owner.known:
            return False
        return last_name(decorator.func.value).endswith(("router", "app", "api")) and bool(decorator.args)


__all__ = ["Dependency", "Injection", "Route", "instance"]
