"""Engines and session factories: where they are made, who uses them, and which are needed in both kinds."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Binding, Function, Module, last_name

from .colours import Colours
from .facts import Facts
from .kinds import kind_of


@dataclass(eq=False)
class Resource:
    """An engine, a session factory, a session or a name for a dependency, made at the top of a module."""

    binding: Binding
    module: Module
    kind: str
    call: ast.expr
    """The expression that makes it, or names another one."""
    uses: list[tuple[ast.expr, Function | None]] = field(default_factory=list)
    """Where it is named, and in which function; None at the top of a module."""
    asynchronous: bool = False
    synchronous: bool = False
    listened: bool = False
    """Whether something at the top of a module listens to its events."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.binding.name

    @property
    def twin(self) -> str:
        """The name of its sync twin."""
        return f"Sync{self.name}" if self.name[:1].isupper() else f"sync_{self.name}"


def find_resources(facts: Facts, colours: Colours, skip: set[Module]) -> dict[Binding, Resource]:
    """The resources of a code base, each with the kinds that it is needed in."""
    found: dict[Binding, Resource] = {}
    for module in facts.project.modules.values():
        if module in skip:
            continue
        for bindings in module.scope.bindings.values():
            for binding in bindings:
                value = binding.value
                if binding.kind not in ("assign", "annotated") or value is None or binding.path:
                    continue
                kind = kind_of(value, facts) if isinstance(value, ast.Call) else ""
                if _names_twin(value, facts, colours):
                    kind = "dependency"
                if kind:
                    found[binding] = Resource(binding, module, kind, value)
    _aliases_of(facts, found, skip)
    _uses(facts, found, skip)
    _kinds(facts, colours, found)
    return found


def _names_twin(value: ast.expr, facts: Facts, colours: Colours) -> bool:
    """Whether it is ``Annotated[Session, Depends(get_db)]`` with a dependency that is needed in both kinds."""
    if not isinstance(value, ast.Subscript) or last_name(value.value) != "Annotated":
        return False
    named = [node for node in ast.walk(value.slice) if isinstance(node, ast.Name | ast.Attribute)]
    return any(facts.type_of(node).decl in colours.twins for node in named)


def _aliases_of(facts: Facts, found: dict[Binding, Resource], skip: set[Module]) -> None:
    """Names that are given to a resource: ``Session = SessionLocal``."""
    for _ in range(3):
        for module in facts.project.modules.values():
            for bindings in module.scope.bindings.values() if module not in skip else ():
                for binding in bindings:
                    value = binding.value
                    if (
                        binding in found
                        or binding.kind != "assign"
                        or not isinstance(value, ast.Name | ast.Attribute)
                    ):
                        continue
                    if any(
                        isinstance(d, Binding) and d in found for d in facts.inference.names.definitions(value)
                    ):
                        found[binding] = Resource(binding, module, "alias", value)


def _uses(facts: Facts, found: dict[Binding, Resource], skip: set[Module]) -> None:
    by_name: dict[str, list[Resource]] = defaultdict(list)
    for resource in found.values():
        by_name[resource.name].append(resource)
    for tree_module in facts.project.modules.values():
        if tree_module in skip:
            continue
        renamed = set(_aliases(tree_module, by_name))
        for node in ast.walk(tree_module.tree):
            if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name not in by_name and name not in renamed:
                continue
            for definition in facts.inference.names.definitions(node):
                if isinstance(definition, Binding) and definition in found:
                    function = _annotated(node, facts) or facts.project.function_of(node)
                    while function is not None and isinstance(function.node, ast.Lambda):
                        function = function.outer
                    found[definition].uses.append((node, function))


def _annotated(node: ast.expr, facts: Facts) -> Function | None:
    """The function that a name in an annotation of a parameter belongs to."""
    inside = False
    for parent in facts.project.ancestors(node):
        if isinstance(parent, ast.stmt):
            within = isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and inside
            return facts.project.collected.functions.get(parent) if within else None
        inside = isinstance(parent, ast.arguments)
    return None


def _aliases(module: Module, by_name: dict[str, list[Resource]]) -> list[str]:
    return [
        local
        for local, bindings in module.scope.bindings.items()
        for binding in bindings
        if isinstance(binding.node, ast.alias) and binding.node.asname and binding.node.name in by_name
    ]


def _kinds(facts: Facts, colours: Colours, found: dict[Binding, Resource]) -> None:
    """Mark what each resource is needed as; what another resource is made of follows that one."""
    made_of: list[tuple[Resource, Resource]] = []
    for resource in found.values():
        for node, function in resource.uses:
            if function is not None:
                resource.asynchronous |= function in colours.converted
                resource.synchronous |= function in colours.kept or function not in colours.converted
                continue
            user = _maker_around(node, facts, found)
            if user is not None:
                made_of.append((resource, user))
            elif is_listener(node, facts):
                resource.listened = True
            else:
                resource.synchronous = True
    for resource in found.values():
        if (
            not resource.asynchronous
            and not resource.synchronous
            and not any(r is resource for r, _ in made_of)
        ):
            resource.asynchronous = resource.kind != "session"
    for _ in range(4):
        for resource, user in made_of:
            resource.asynchronous |= user.asynchronous
            resource.synchronous |= user.synchronous


def is_listener(node: ast.expr, facts: Facts) -> bool:
    """Whether an engine is named to listen to it."""
    parent = facts.parent(node)
    if isinstance(parent, ast.keyword):
        parent = facts.parent(parent)
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute | ast.Name):
        name = parent.func.attr if isinstance(parent.func, ast.Attribute) else parent.func.id
        return name in ("listen", "listens_for", "instrument")
    return False


def _maker_around(node: ast.expr, facts: Facts, found: dict[Binding, Resource]) -> Resource | None:
    calls = {resource.call: resource for resource in found.values()}
    if node in calls:
        return calls[node]
    for parent in facts.project.ancestors(node):
        if isinstance(parent, ast.expr) and parent in calls:
            return calls[parent]
        if isinstance(parent, ast.stmt):
            return None
    return None


__all__ = ["Resource", "find_resources", "is_listener"]
