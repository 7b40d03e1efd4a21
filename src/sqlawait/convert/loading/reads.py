"""Which relationships the code reads of which rows: in its lines, in properties, in schemas."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlawait.analysis.declarations import Class, Function, Module
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.schemas import Schemas
from sqlawait.analysis.types import Type, members
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts

VALIDATORS = {"model_validate", "from_orm", "parse_obj", "validate_python"}
COLLECTIONS = ("list", "tuple", "sqlalchemy.ScalarResult")
DEPTH = 5
"""How far properties are followed to what reads them, and schemas to those inside of them."""


@dataclass(frozen=True, slots=True)
class Read:
    """A relationship that is read of a row."""

    relationship: Relationship
    row: Type
    """The row, with what is known of where it came from."""
    node: ast.expr
    """The expression that is read of, or the value that is answered."""
    root: Type
    """The row that the expression itself stands for."""
    below: tuple[str, ...] = ()
    """The relationships from there, where a schema reads on."""
    sets: bool = False
    """It is given a new value, which loads the old one of a row that is in the database."""


class Reads:
    """Finds the reads of relationships in the application's code."""

    def __init__(self, facts: Facts, colours: Colours, skip: set[Module]) -> None:
        self.facts = facts
        self.colours = colours
        self.skip = skip
        self.inference = facts.inference
        self.models = facts.inference.models
        self.schemas = Schemas(facts.inference)
        self.opaque: set[str] = set()
        """Names of relationships that are read of what is not known to be a row, or not to be none."""
        self.visited: set[Class] = set()
        """The schemas that were seen reading rows."""
        self._behind: dict[str, set[str]] = defaultdict(set)
        """The relationships that a property of that name reads."""

    def all(self) -> Iterator[Read]:
        """Every read; what cannot be judged is added to :attr:`opaque`."""
        names = {name for model in self.models.all() for name in self.models.relationships(model)}
        for name in sorted(names):
            yield from self._named(name)
        yield from self._answers()
        unseen = [s for s in self._all_schemas() if s not in self.visited and self._reads_rows(s)]
        self.opaque |= {field.reads for schema in unseen for field in self.schemas.fields(schema)} & names

    # -- in code -------------------------------------------------------------------------------------------

    def _named(self, name: str) -> Iterator[Read]:
        collected = self.facts.project.collected
        reads, writes = collected.attribute_reads.get(name, ()), collected.attribute_writes.get(name, ())
        for node in (*reads, *writes):
            if not self._counts(node):
                continue
            of = list(members(self.facts.type_of(node.value)))
            if not of:
                self.opaque.add(name)
            for row in of:
                if row.kind == "typevar":
                    self.opaque.add(name)
                relationship = self.models.relationship(row.decl, name) if row.kind == "instance" else None
                sets = isinstance(node.ctx, ast.Store)
                if relationship is None or (sets and not relationship.loads_to_set):
                    continue
                method = self._own_method(node)
                if row.origin is None and method is not None:
                    yield from self._through(method, relationship)
                else:
                    yield Read(relationship, row, node.value, row, sets=sets)

    def _counts(self, node: ast.Attribute) -> bool:
        """Whether it is the application's, in code that becomes async, and no call such as ``items()``."""
        parent = self.facts.parent(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        if called and self.facts.type_of(node).kind != "function":
            return False
        function = self.facts.project.function_of(node)
        return self.facts.project.module_of(node) not in self.skip and (
            function is None or function.is_async or function in self.colours.converted
        )

    def _own_method(self, node: ast.Attribute) -> Function | None:
        """The method or property of a model in which it reads of itself."""
        function = self.facts.project.function_of(node)
        if function is None or function.cls is None or not self.models.is_model(function.cls):
            return None
        first = function.positional[:1]
        return (
            function if first and isinstance(node.value, ast.Name) and node.value.id == first[0].arg else None
        )

    def _through(self, method: Function, relationship: Relationship, depth: int = 0) -> Iterator[Read]:
        """The reads of a property or method, which read the relationship."""
        self._behind[method.name].add(relationship.name)
        for node in self.facts.project.collected.attribute_reads.get(method.name, ()):
            if not self._counts(node):
                continue
            for row in members(self.facts.type_of(node.value)):
                if row.kind != "instance" or self.models.relationship(row.decl, relationship.name) is None:
                    continue
                outer = self._own_method(node)
                if row.origin is None and outer is not None and outer is not method and depth < DEPTH:
                    yield from self._through(outer, relationship, depth + 1)
                else:
                    yield Read(relationship, row, node.value, row)

    # -- in answers ----------------------------------------------------------------------------------------

    def _answers(self) -> Iterator[Read]:
        annotations = self.inference.annotations
        for function, route in self.inference.injection.routes.items():
            if function.module in self.skip or isinstance(function.node, ast.Lambda):
                continue
            answer = route.option("response_model") or function.node.returns
            if answer is not None:
                wanted = annotations.type_of(answer)
                for value in function.returns:
                    yield from self._answered(value, wanted)
        for function in self.facts.project.functions:
            if function.module in self.skip:
                continue
            for node in function.own_nodes:
                if isinstance(node, ast.Call):
                    yield from self._validated(node)

    def _validated(self, call: ast.Call) -> Iterator[Read]:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in VALIDATORS and call.args:
            of = self.facts.type_of(func.value)
            if of.kind == "class":
                yield from self._answered(call.args[0], self.inference.instance_of(of))
            return
        of = self.facts.type_of(func)
        if of.kind == "class" and isinstance(of.decl, Class) and self.schemas.is_schema(of.decl):
            self._visit(of)
            fields = {each.reads: each.type for each in self.schemas.fields(of.decl)}
            for keyword in call.keywords:
                if keyword.arg in fields:
                    yield from self._answered(keyword.value, fields[keyword.arg])

    def _answered(self, value: ast.expr, wanted: Type) -> Iterator[Read]:
        schemas = list(self._inside(wanted))
        if isinstance(value, ast.IfExp):
            yield from self._answered(value.body, wanted)
            yield from self._answered(value.orelse, wanted)
            return
        if isinstance(value, ast.Dict):
            for schema in schemas:
                self._visit(schema)
                fields = {each.reads: each.type for each in self.schemas.fields_of(schema)}
                for key, inner in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value in fields:
                        yield from self._answered(inner, fields[str(key.value)])
            return
        of = self.facts.type_of(value)
        rows = list(self._rows(of))
        if not rows and not any(True for _ in members(of)):
            self.opaque |= {name for schema in schemas for name in self._tree(schema, 0)}
        for schema in schemas:
            self._visit(schema)
            for row in rows:
                yield from self._fields(value, row, row, schema, ())

    def _fields(
        self, value: ast.expr, root: Type, row: Type, schema: Type, below: tuple[str, ...]
    ) -> Iterator[Read]:
        if len(below) > DEPTH:
            return
        self._visit(schema)
        for field in self.schemas.fields_of(schema):
            for name in {field.reads, *self._behind.get(field.reads, ())}:
                relationship = self.models.relationship(row.decl, name)
                if relationship is None:
                    continue
                yield Read(relationship, row, value, root, below)
                behind = self.models.related(row, name)
                for inner in self._inside(field.type):
                    for each in self._rows(behind) if behind is not None else ():
                        yield from self._fields(value, root, each, inner, (*below, name))

    def _rows(self, of: Type) -> Iterator[Type]:
        for each in members(of):
            if each.kind != "instance":
                continue
            if each.name in COLLECTIONS:
                for arg in each.args:
                    yield from self._rows(arg)
            elif isinstance(each.decl, Class) and self.models.is_model(each.decl):
                yield each

    def _inside(self, of: Type) -> Iterator[Type]:
        """The schemas in a type, with their arguments: of ``list[Page[User]]`` it is ``Page[User]``."""
        for each in members(of):
            if self.schemas.is_schema(each.decl):
                yield each
            elif each.kind == "instance" and each.name in ("list", "dict", "tuple"):
                for arg in each.args:
                    yield from self._inside(arg)

    def _visit(self, schema: Type) -> None:
        if isinstance(schema.decl, Class):
            self.visited.add(schema.decl)
            self.visited |= {base for base, _ in self.inference.bases(schema.decl)}

    def _reads_rows(self, schema: Class) -> bool:
        """Whether a schema says that it reads attributes."""
        return any(
            not base.module.stub
            and any(word in ast.unparse(statement) for word in ("from_attributes", "orm_mode"))
            for base, _ in self.inference.bases(schema)
            for statement in base.node.body
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.ClassDef)
        )

    def _tree(self, schema: Type, depth: int) -> Iterator[str]:
        """The names that a schema and those inside of it read."""
        for field in self.schemas.fields_of(schema):
            yield field.reads
            for inner in self._inside(field.type) if depth < DEPTH else ():
                yield from self._tree(inner, depth + 1)

    def _all_schemas(self) -> list[Class]:
        return [
            each
            for each in self.facts.project.classes
            if each.module not in self.skip and self.schemas.is_schema(each)
        ]


__all__ = ["Read", "Reads"]
