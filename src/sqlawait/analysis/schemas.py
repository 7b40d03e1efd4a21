"""Pydantic schemas: which attributes of a row they read."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .declarations import Class, last_name
from .types import Type, members

if TYPE_CHECKING:
    from .inference import Inference


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a schema."""

    name: str
    reads: str
    """The attribute of the row that it is read from: its alias, where it has one."""
    type: Type


class Schemas:
    """What is a schema, and which fields it has."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._fields: dict[Class, list[Field]] = {}

    def is_schema(self, cls: object) -> bool:
        """Whether a class validates what it is given: a Pydantic model, or an SQLModel without a table."""
        if not isinstance(cls, Class) or cls.module.stub or self.inference.models.is_model(cls):
            return False
        outside = self.inference.attributes.outside_bases(cls)
        if any(
            name.startswith(("pydantic.", "pydantic_settings.", "fastapi_users.schemas.")) for name in outside
        ):
            return True
        return any(base.id == "sqlmodel.SQLModel" for base, _ in self.inference.bases(cls))

    def fields(self, cls: Class) -> list[Field]:
        """The fields of a schema, those of its bases included."""
        if cls not in self._fields:
            found: dict[str, Field] = {}
            for base, values in reversed(self.inference.bases(cls)):
                if base.module.stub:
                    continue
                for name, bindings in base.scope.bindings.items():
                    for binding in bindings:
                        node = binding.node
                        if (
                            isinstance(node, ast.AnnAssign)
                            and not name.startswith("_")
                            and name != "model_config"
                        ):
                            of = self.inference.annotations.type_of(node.annotation)
                            of = self.inference.with_arguments(of, values)
                            found[name] = Field(name, _alias(binding.value) or name, of)
            self._fields[cls] = list(found.values())
        return self._fields[cls]

    def fields_of(self, of: Type) -> list[Field]:
        """The fields of a schema as a type, with its arguments filled in: of ``Page[UserRead]``."""
        if not isinstance(of.decl, Class):
            return []
        environment = self.inference.attributes.environment(of, of.decl)
        return [
            replace(each, type=self.inference.with_arguments(each.type, environment))
            for each in self.fields(of.decl)
        ]

    def inside(self, of: Type) -> list[Class]:
        """The schemas in a type: of ``list[UserRead] | None`` it is UserRead."""
        found: list[Class] = []
        for each in members(of):
            if self.is_schema(each.decl) and isinstance(each.decl, Class):
                found.append(each.decl)
            elif each.kind == "instance" and each.name in ("list", "dict", "tuple"):
                found += [schema for arg in each.args for schema in self.inside(arg)]
        return found


def _alias(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call) and last_name(value.func) == "Field":
        options = {each.arg: each.value for each in value.keywords}
        for name in ("validation_alias", "alias"):
            given = options.get(name)
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                return given.value
    return ""


__all__ = ["Field", "Schemas"]
