"""What an expression gives, by its kind."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .declarations import last_name
from .types import NONE, UNKNOWN, Type, external, instance, members, union

if TYPE_CHECKING:
    from .inference import Inference


class Expressions:
    """Types of expressions, each worked out from the types of its parts."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference

    def of(self, node: ast.expr) -> Type:
        """The type of an expression, unknown where nothing is to be inferred from its kind."""
        handler = _HANDLERS.get(type(node))
        return handler(self, node) if handler is not None else UNKNOWN

    def _constant(self, node: ast.Constant) -> Type:
        return NONE if node.value is None else instance(type(node.value).__name__)

    def _name(self, node: ast.Name) -> Type:
        bindings = self.inference.names.reaching(node)
        if bindings and all(not isinstance(each.node, ast.alias) for each in bindings):
            return union(self.inference.binding_type(each) for each in bindings)
        return self.inference.definition_type(node)

    def _attribute(self, node: ast.Attribute) -> Type:
        owner = node.value
        if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super":
            return self.inference.attributes.of_super(node)
        found = self.inference.attributes.of(self.inference.type_of(owner), node.attr)
        if not found.known or found.kind == "external":
            key = f"{last_name(owner)}.{node.attr}"
            if last_name(owner) == "state" and key in self.inference.project.collected.attributes:
                return union(
                    self.inference.binding_type(each)
                    for each in self.inference.project.collected.attributes[key]
                )
        return found

    def _call(self, node: ast.Call) -> Type:
        return self.inference.calling.result(node)

    def _await(self, node: ast.Await) -> Type:
        return self.inference.awaited(self.inference.type_of(node.value))

    def _subscript(self, node: ast.Subscript) -> Type:
        found = []
        for of in members(self.inference.type_of(node.value)):
            if of.kind == "class" and of.decl is not None:
                given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                found.append(
                    replace(of, args=tuple(self.inference.annotations.type_of(each) for each in given))
                )
            elif of.name == "dict" and len(of.args) == 2:
                found.append(of.args[1])
            elif of.name in ("tuple", "sqlalchemy.Row") and of.args:
                index = node.slice.value if isinstance(node.slice, ast.Constant) else None
                if isinstance(index, int) and -len(of.args) <= index < len(of.args):
                    found.append(of.args[index])
            elif of.name == "list" and isinstance(node.slice, ast.Slice):
                found.append(of)
            elif of.kind == "external":
                found.append(external(f"{of.name}[]"))
            elif self.inference.is_a(of, "sqlalchemy.orm.Query") and isinstance(node.slice, ast.Slice):
                found.append(instance("list", *of.args))
            else:
                found.append(self.inference.item(of))
        return union(found)

    def _either(self, node: ast.BoolOp | ast.IfExp) -> Type:
        values = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return union(self.inference.type_of(each) for each in values)

    def _sequence(self, node: ast.List | ast.Set) -> Type:
        items = (
            self.inference.iterated(self.inference.type_of(e.value))
            if isinstance(e, ast.Starred)
            else self.inference.type_of(e)
            for e in node.elts
        )
        return instance("list", union(items))

    def _tuple(self, node: ast.Tuple) -> Type:
        return instance("tuple", *(self.inference.type_of(each) for each in node.elts))

    def _dict(self, node: ast.Dict) -> Type:
        keys = union(self.inference.type_of(each) for each in node.keys if each is not None)
        return instance("dict", keys, union(self.inference.type_of(each) for each in node.values))

    def _comprehension(self, node: ast.ListComp | ast.SetComp) -> Type:
        return instance("list", self.inference.type_of(node.elt))

    def _generator_expression(self, node: ast.GeneratorExp) -> Type:
        return instance("Generator", self.inference.type_of(node.elt))

    def _dict_comprehension(self, node: ast.DictComp) -> Type:
        return instance("dict", self.inference.type_of(node.key), self.inference.type_of(node.value))

    def _lambda(self, node: ast.Lambda) -> Type:
        return self.inference.function_type(self.inference.project.collected.functions[node])

    def _named(self, node: ast.NamedExpr) -> Type:
        return self.inference.type_of(node.value)

    def _string(self, _node: ast.JoinedStr) -> Type:
        return instance("str")

    def _binary(self, node: ast.BinOp) -> Type:
        left, right = self.inference.type_of(node.left), self.inference.type_of(node.right)
        return left if left.known and left.name == right.name else UNKNOWN


_HANDLERS: dict[type[ast.expr], Callable[..., Type]] = {
    ast.Constant: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Call: Expressions._call,
    ast.Await: Expressions._await,
    ast.Subscript: Expressions._subscript,
    ast.BoolOp: Expressions._either,
    ast.IfExp: Expressions._either,
    ast.List: Expressions._sequence,
    ast.Set: Expressions._sequence,
    ast.Tuple: Expressions._tuple,
    ast.Dict: Expressions._dict,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._generator_expression,
    ast.DictComp: Expressions._dict_comprehension,
    ast.Lambda: Expressions._lambda,
    ast.NamedExpr: Expressions._named,
    ast.JoinedStr: Expressions._string,
    ast.BinOp: Expressions._binary,
}

__all__ = ["Expressions"]
