"""Engines and session factories: where they are made, who uses them, and which are needed in both kinds."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlawait.analysis.declarations import Binding, Function, Module, last_name

from .facts import Facts
from .kinds import kind_of

if TYPE_CHECKING:
    from .colours import Colours  # which asks for the resources: what makes them has the colour of their users


OF_EITHER = {"pool", "url", "dialect", "name", "driver", "echo"}
"""Attributes that engines of either kind have."""
HANDED_OUT = {"engine", "maker", "scoped", "made"}


@dataclass(eq=False)
class Resource:
    """An engine, a session factory, a session or a name for a dependency, that more than one function sees.

    It is made at the top of a module or a class, or by a function that keeps it in a global or an attribute.
    """

    binding: Binding
    module: Module
    kind: str
    """What it is; ``made`` where a function of the code base makes it, ``alias`` for another's name."""
    call: ast.expr
    """The expression that makes it, or names another one."""
    function: Function | None = None
    """The function that makes it; None at the top."""
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
        plain = self.name.lstrip("_")
        private = "_" * (len(self.name) - len(plain))
        return f"{private}Sync{plain}" if plain[:1].isupper() else f"{private}sync_{plain}"


def find_resources(facts: Facts, skip: set[Module]) -> dict[Binding, Resource]:
    """The resources of a code base, and where each is used."""
    found: dict[Binding, Resource] = {}
    for module, binding in _shared(facts, skip):
        value = binding.value
        if not isinstance(value, ast.Call):
            continue
        function = facts.project.function_of(binding.node)
        kind = "" if binding.path else kind_of(value, facts)
        if not kind and facts.targets(value) and facts.hands_out(facts.type_of(value)):
            kind = "made" if not binding.path or facts.hands_out(facts.inference.binding_type(binding)) else ""
        if kind and (function is None or kind in HANDED_OUT):
            found[binding] = Resource(binding, module, kind, value, function)
    _aliases_of(facts, found, skip)
    _uses(facts, found, skip)
    return found


def add_dependencies(facts: Facts, found: dict[Binding, Resource], colours: Colours, skip: set[Module]) -> None:
    """Add the names for dependencies that are needed in both kinds."""
    named: dict[Binding, Resource] = {}
    for module in facts.project.modules.values():
        for bindings in module.scope.bindings.values() if module not in skip else ():
            for binding in bindings:
                value = binding.value
                if value is None or binding.kind not in ("assign", "annotated") or binding.path:
                    continue
                if binding not in found and _names_twin(value, facts, colours):
                    named[binding] = Resource(binding, module, "dependency", value)
    _aliases_of(facts, named, skip)
    _uses(facts, named, skip)
    found.update(named)
    settle(facts, found, colours)


def _shared(facts: Facts, skip: set[Module]) -> Iterator[tuple[Module, Binding]]:
    """What is assigned to globals, and to attributes of classes, of their objects and of ``app.state``."""
    for module in facts.project.modules.values():
        for bindings in module.scope.bindings.values() if module not in skip else ():
            yield from ((module, each) for each in bindings if each.kind in ("assign", "annotated"))
    for cls in facts.project.classes:
        if cls.module in skip or facts.inference.models.is_model(cls):
            continue
        for held in (*cls.scope.bindings.values(), *cls.assigned.values()):
            yield from ((cls.module, each) for each in held if each.kind in ("assign", "annotated"))
    for key, bindings in facts.project.collected.attributes.items():
        if key.startswith("state."):
            yield from ((each.scope.module, each) for each in bindings if each.scope.module not in skip)


def _names_twin(value: ast.expr, facts: Facts, colours: Colours) -> bool:
    """Whether it is ``Annotated[Session, Depends(get_db)]`` with a dependency that is needed in both kinds."""
    if not isinstance(value, ast.Subscript) or last_name(value.value) != "Annotated":
        return False
    named = [node for node in ast.walk(value.slice) if isinstance(node, ast.Name | ast.Attribute)]
    return any(facts.type_of(node).decl in colours.twins for node in named)


def _aliases_of(facts: Facts, found: dict[Binding, Resource], skip: set[Module]) -> None:
    """Names that are given to a resource: ``Session = SessionLocal``, ``app.state.engine = engine``."""
    for _ in range(3):
        for module, binding in _shared(facts, skip):
            value = binding.value
            if binding in found or binding.path or not isinstance(value, ast.Name | ast.Attribute):
                continue
            if any(each in found for each in facts.inference.attributes.bindings(value)):
                function = facts.project.function_of(binding.node)
                found[binding] = Resource(binding, module, "alias", value, function)


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
            for definition in facts.inference.attributes.bindings(node):
                if definition in found:
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


def settle(facts: Facts, found: dict[Binding, Resource], colours: Colours) -> None:
    """Mark what each resource is needed as; what another resource is made of follows that one."""
    made_of: list[tuple[Resource, Resource]] = []
    calls = {resource.call: resource for resource in found.values()}
    for resource in found.values():
        resource.asynchronous = resource.synchronous = False
        for node, function in resource.uses:
            user = _maker_around(node, facts, calls)
            if user is not None:
                made_of.append((resource, user))
            elif is_of_either(node, facts):
                continue
            elif function is not None:
                resource.asynchronous |= function in colours.converted
                resource.synchronous |= function in colours.kept or function not in colours.converted
            elif is_listener(node, facts):
                resource.listened = True
            else:
                resource.synchronous = True
    _spread(found, made_of)
    parts = {resource for resource, _ in made_of}
    for resource in found.values():
        if not resource.asynchronous and not resource.synchronous and resource not in parts:
            resource.asynchronous = resource.kind != "session"
    _spread(found, made_of)


def _spread(found: dict[Binding, Resource], made_of: list[tuple[Resource, Resource]]) -> None:
    """Give a kind on: to what a resource is made of, to what its call makes too, to its name's other values."""
    groups: dict[object, list[Resource]] = defaultdict(list)
    for resource in found.values():
        groups[resource.call].append(resource)
        groups[resource.binding.scope, resource.name].append(resource)
    pairs = [*made_of, *((one, other) for group in groups.values() for one in group for other in group)]
    before = -1
    while (now := sum(each.asynchronous + each.synchronous for each in found.values())) != before:
        before = now
        for part, user in pairs:
            part.asynchronous |= user.asynchronous
            part.synchronous |= user.synchronous


def is_of_either(node: ast.expr, facts: Facts) -> bool:
    """Whether it is only asked if it is there, or for what engines of either kind know: ``engine.pool``."""
    parent = facts.parent(node)
    if isinstance(parent, ast.Attribute):
        return parent.attr in OF_EITHER and facts.is_engine(node)
    if isinstance(parent, ast.If | ast.While | ast.IfExp):
        return parent.test is node
    if isinstance(parent, ast.Compare):
        return all(isinstance(each, ast.Is | ast.IsNot) for each in parent.ops)
    return isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)


def is_listener(node: ast.expr, facts: Facts) -> bool:
    """Whether an engine is named to listen to it."""
    parent = facts.parent(node)
    if isinstance(parent, ast.keyword):
        parent = facts.parent(parent)
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute | ast.Name):
        name = parent.func.attr if isinstance(parent.func, ast.Attribute) else parent.func.id
        return name in ("listen", "listens_for", "instrument")
    return False


def _maker_around(node: ast.expr, facts: Facts, calls: dict[ast.expr, Resource]) -> Resource | None:
    if node in calls:
        return calls[node]
    for parent in facts.project.ancestors(node):
        if isinstance(parent, ast.expr) and parent in calls:
            return calls[parent]
        if isinstance(parent, ast.stmt):
            return None
    return None


__all__ = ["Resource", "add_dependencies", "find_resources", "is_listener", "is_of_either", "settle"]
