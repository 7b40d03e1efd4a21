"""Loader options, read as the dotted relationships that they load."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .declarations import Binding, Class, last_name
from .types import Origin, Type, members, rewrite, with_origin

if TYPE_CHECKING:
    from .inference import Inference

OWN = "self."
"""Begins a loaded path that stands for an attribute of the object that makes the statement."""
LOADERS = {
    "selectinload",
    "joinedload",
    "subqueryload",
    "immediateload",
    "contains_eager",
    "noload",
    "raiseload",
}
NESTING = {*LOADERS, "defaultload", "load_only", "defer", "undefer", "options", "of_type", "and_"}
HARMLESS = {
    "load_only",
    "defer",
    "undefer",
    "undefer_group",
    "with_loader_criteria",
    "lazyload",
    "Load",
    "with_expression",
}
Path = tuple[type[object] | Class | None, tuple[str, ...]]


def with_options(inference: Inference, of: Type, options: Iterable[ast.expr]) -> Type:
    """A row of a model with the relationships that these options load added to its origin."""
    if of.kind == "typevar":
        paths = {path for option in options for path in option_paths(inference, option, None)}
        unread = {path if path.startswith(OWN) else "*" for path in paths}
        origin = of.origin or Origin()
        return with_origin(of, replace(origin, loaded=origin.loaded | unread))
    if of.kind != "instance" or not inference.models.is_model(of.decl):
        return of
    loaded: set[str] = set()
    for option in options:
        loaded |= option_paths(inference, option, of.decl if isinstance(of.decl, Class) else None)
    origin = of.origin or Origin()
    return replace(of, origin=replace(origin, loaded=origin.loaded | loaded))


def option_paths(inference: Inference, option: ast.expr, model: Class | None, depth: int = 0) -> set[str]:
    """The dotted relationships, from ``model``, that an option loads; ``{"*"}`` when it cannot be read."""
    if depth > 8:
        return {"*"}
    if isinstance(option, ast.Starred):
        return option_paths(inference, option.value, model, depth + 1)
    if isinstance(option, ast.List | ast.Tuple | ast.Set):
        return {path for each in option.elts for path in option_paths(inference, each, model, depth + 1)}
    if isinstance(option, ast.Name | ast.Attribute):
        return _named(inference, option, model, depth)
    if isinstance(option, ast.Call):
        chain = _chain(inference, option)
        if chain is None:
            return {"*"}
        head, paths = chain
        if head is not None and model is not None and not _related(inference, head, model):
            return set()
        return paths
    return {"*"}


def _named(inference: Inference, option: ast.expr, model: Class | None, depth: int) -> set[str]:
    if (
        isinstance(option, ast.Attribute)
        and isinstance(option.value, ast.Name)
        and option.value.id in ("self", "cls")
    ):
        return {f"{OWN}{option.attr}"}
    found: set[str] = set()
    definitions = inference.names.definitions(option)
    for each in definitions:
        if not isinstance(each, Binding) or each.value is None or each.kind not in ("assign", "annotated"):
            return {"*"}
        found |= option_paths(inference, each.value, model, depth + 1)
    return found if definitions else {"*"}


def resolved(inference: Inference, of: Type, owner: Type) -> Type:
    """A row whose options were an attribute of the object that loads it, with what that attribute says."""

    def change(each: Type) -> Type:
        origin = each.origin
        if origin is None or not any(path.startswith(OWN) for path in origin.loaded):
            return each
        loaded = {path for path in origin.loaded if not path.startswith(OWN)}
        for path in origin.loaded - loaded:
            loaded |= _of_class(inference, owner, path.removeprefix(OWN), each)
        return replace(each, origin=replace(origin, loaded=frozenset(loaded)))

    return rewrite(of, change)


def _of_class(inference: Inference, owner: Type, name: str, row: Type) -> set[str]:
    for base, _ in inference.bases(owner.decl) if isinstance(owner.decl, Class) else ():
        if base.assigned.get(name):
            return {"*"}
        for binding in base.scope.bindings.get(name, ()):
            if binding.value is not None:
                return option_paths(inference, binding.value, row.decl if isinstance(row.decl, Class) else None)
    return {"*"}


def _chain(inference: Inference, call: ast.Call) -> tuple[Class | None, set[str]] | None:
    """The class that an option starts at, and the dotted relationships of the chain and what is nested in
    it."""
    links: list[ast.Call] = []
    node: ast.expr = call
    while isinstance(node, ast.Call):
        links.append(node)
        node = (
            node.func.value
            if isinstance(node.func, ast.Attribute) and last_name(node.func) in NESTING
            else node.func
        )
        if not isinstance(node, ast.Call):
            break
    links.reverse()
    head: Class | None = None
    prefix: tuple[str, ...] = ()
    found: set[str] = set()
    for link in links:
        name = last_name(link.func)
        if name == "options":
            for nested in link.args:
                inner = option_paths(inference, nested, None)
                found |= {".".join((*prefix, path)) for path in inner}
            continue
        if name in HARMLESS:
            continue
        if name not in LOADERS and name != "defaultload":
            return None
        for argument in link.args:
            step = _step(inference, argument)
            if step is None:
                return None
            owner, names = step
            if head is None and owner is not None and not prefix:
                head = owner
            prefix = (*prefix, *names)
            if name != "defaultload":
                found.add(".".join(prefix))
    return head, found


def _step(inference: Inference, argument: ast.expr) -> tuple[Class | None, tuple[str, ...]] | None:
    """``User.posts`` or ``"posts"`` as (User, ("posts",))."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return None, tuple(argument.value.split("."))
    if isinstance(argument, ast.Call) and last_name(argument.func) in ("of_type", "and_"):
        return _step(inference, argument.func.value) if isinstance(argument.func, ast.Attribute) else None
    if isinstance(argument, ast.Attribute):
        owner = next(
            (m.decl for m in members(inference.type_of(argument.value)) if isinstance(m.decl, Class)), None
        )
        return owner, (argument.attr,)
    return None


def _related(inference: Inference, one: Class, other: Class) -> bool:
    return any(base is other for base, _ in inference.bases(one)) or any(
        base is one for base, _ in inference.bases(other)
    )


__all__ = ["option_paths", "resolved", "with_options"]
