"""What a query queries: whole models, columns, relationships, values over all rows."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sqlawait.analysis.declarations import Class, dotted, last_name
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.types import Type, members

if TYPE_CHECKING:
    from .facts import Facts

COLUMN_CALLS = {
    "cast", "case", "text", "literal", "literal_column", "label", "distinct", "coalesce", "column",
    "extract", "over", "type_coerce", "tuple_", "exists", "scalar_subquery", "as_scalar", "between",
    "collate", "null", "true", "false", "nullslast", "bindparam", "Bundle", "with_variant", "desc", "asc",
    "if_", "array_agg", "op", "filter",
}  # fmt: skip
SAFE_OPTIONS = {
    "selectinload",
    "lazyload",
    "noload",
    "raiseload",
    "load_only",
    "defer",
    "undefer",
    "defaultload",
    "undefer_group",
}
"""Loader options that never repeat a row."""

RELATIONSHIPS = {"relationship", "Relationship", "backref"}


class Entities:
    """Tells them apart."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def kind(self, node: ast.expr) -> str:
        """``entity`` for a whole model, ``column`` for a column or expression, ``unknown``."""
        if isinstance(node, ast.Starred):
            inner = members(self.facts.inference.iterated(self.facts.type_of(node.value)))
            kinds = {self._kind_of(each) for each in inner} - {""}
            return kinds.pop() if len(kinds) == 1 else "unknown"
        kinds = {self._kind_of(each) for each in members(self.facts.type_of(node))} - {""}
        if len(kinds) == 1:
            return kinds.pop()
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in ("aliased", "with_polymorphic"):
                return "entity"
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if name in COLUMN_CALLS or (owner is not None and last_name(owner) == "func"):
                return "column"
            if owner is not None and self.kind(owner) == "column":
                return "column"
        if isinstance(node, ast.Attribute):
            if last_name(node.value) == "c" or self.kind(node.value) == "entity":
                return "column"
            if dotted(node) and node.attr[:1].isupper() and self._is_outside(node):
                return "entity"
        if isinstance(node, ast.Name) and node.id[:1].isupper() and self._is_outside(node):
            return "entity"
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript):
            return "column"
        return "entity" if self._used_as_model(node) else "unknown"

    def _kind_of(self, of: Type) -> str:
        if of.kind == "class":
            return "entity"
        if of.kind == "external" and of.name.startswith("attribute:"):
            return "column"
        if of.kind == "instance":
            if isinstance(of.decl, Class) and of.name.startswith(
                ("sqlalchemy.Column", "sqlalchemy.orm.Mapped")
            ):
                return "column"
            return "column" if of.name.startswith("sqlalchemy.") else ""
        return ""

    def _is_outside(self, node: ast.expr) -> bool:
        return all(each.kind == "external" for each in members(self.facts.type_of(node)))

    def _used_as_model(self, node: ast.expr) -> bool:
        """Whether the code around takes columns from it or makes objects of it: then it is a model."""
        wanted = ast.dump(node)
        function = self.facts.project.function_of(node)
        nodes = list(
            function.cls.node.body if function and function.cls else [function.node] if function else []
        )
        for tree in nodes:
            for each in ast.walk(tree):
                if (
                    isinstance(each, ast.Attribute)
                    and each.attr not in ("c", "label")
                    and isinstance(each.ctx, ast.Load)
                    and ast.dump(each.value) == wanted
                ):
                    parent = self.facts.parent(each)
                    if isinstance(parent, ast.Compare | ast.Call):
                        return True
                if isinstance(each, ast.Call) and ast.dump(each.func) == wanted:
                    return True
        return False

    def eager(self, node: ast.expr) -> bool:
        """Whether a model joins collections on its own, so that a row may come more than once."""
        return any(
            _joins(call)
            for each in members(self.facts.type_of(node))
            if isinstance(each.decl, Class)
            for cls, _ in self.facts.inference.bases(each.decl)
            if not cls.module.stub
            for call in ast.walk(cls.node)
            if isinstance(call, ast.Call) and last_name(call.func) in RELATIONSHIPS
        )

    def relationship(self, node: ast.expr) -> Relationship | None:
        """The relationship that ``Model.name`` names."""
        if isinstance(node, ast.Attribute):
            for each in members(self.facts.type_of(node.value)):
                if each.kind == "class":
                    found = self.facts.inference.models.relationship(each.decl, node.attr)
                    if found is not None:
                        return found
        return None

    def is_relationship(self, node: ast.expr) -> bool:
        """Whether it names a relationship."""
        return self.relationship(node) is not None

    def related_model(self, node: ast.expr) -> str:
        """What the model behind a relationship is called in a file; empty when the file does not name it."""
        found = self.relationship(node)
        if found is None or found.target is None:
            return ""
        for local, bindings in self.facts.project.module_of(node).scope.bindings.items():
            for binding in bindings:
                if self.facts.inference.binding_type(binding).decl is found.target:
                    return local
        return ""

    def is_aggregate(self, node: ast.expr) -> bool:
        """Whether it is one value over all rows: ``func.count(…)``, ``….exists()``."""
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in ("label", "cast", "coalesce") and isinstance(node.func, ast.Attribute):
                inner = node.args[0] if last_name(node.func.value) == "func" and node.args else node.func.value
                return self.is_aggregate(inner)
            if name in ("exists", "scalar_subquery"):
                return True
            if isinstance(node.func, ast.Attribute) and last_name(node.func.value) == "func":
                return name in (
                    "count",
                    "sum",
                    "min",
                    "max",
                    "avg",
                    "bool_and",
                    "bool_or",
                    "array_agg",
                    "string_agg",
                    "group_concat",
                )
        return False

    def is_safe_option(self, node: ast.expr) -> bool:
        """Whether a loader option cannot repeat a row."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            inner = node.func.value
            if not isinstance(inner, ast.Call):
                break
            if node.func.attr not in SAFE_OPTIONS:
                return False
            node = inner
        return isinstance(node, ast.Call) and last_name(node.func) in SAFE_OPTIONS


def _joins(relationship: ast.Call) -> bool:
    """Whether a relationship is declared to come by a join, or as a value that is not written out."""
    lazy = [k.value for k in ast.walk(relationship) if isinstance(k, ast.keyword) and k.arg == "lazy"]
    if any(not isinstance(value, ast.Constant) or value.value in ("joined", False) for value in lazy):
        return True
    return any(isinstance(each, ast.Constant) and each.value == "joined" for each in ast.walk(relationship))


__all__ = ["Entities"]
