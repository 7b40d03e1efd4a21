"""What a Pydantic schema asks for, read from the core schema that Pydantic itself runs on.

Annotations do not say it all: validators, serializers and configuration do their work in the core schema, so
what is found nowhere in it is known not to happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import CoreConfig, PydanticUndefined, SchemaSerializer, SchemaValidator, to_json

_HARMLESS = frozenset(
    {
        "cache_strings",
        "extra_fields_behavior",
        "from_attributes",
        "hide_input_in_errors",
        "loc_by_alias",
        "populate_by_name",
        "revalidate_instances",
        "serialize_by_alias",
        "title",
        "validate_by_alias",
        "validate_by_name",
        "validate_default",
        "validation_error_cause",
    }
)
"""Settings of a model that do not change how a single value is validated or written."""

_NOTED = frozenset({"type", "metadata", "ref", "strict", "microseconds_precision"})
"""Keys of a core schema that change nothing for a value that already has the schema's type."""


class NeedsPython(Exception):
    """Something that the database cannot write; the message says what."""


class NeedsObjects(NeedsPython):
    """Something for which objects have to be loaded."""


@dataclass(frozen=True, eq=False)
class Leaf:
    """A field that is one value.

    Attributes:
        schema: its core schema, without references to others.
        plain: the type's name where a value of that type is written as it is (``"int"``, ``"str"`` …), else
            None.
        nullable: whether None is one of its values.
        bounds: limits that a value must keep: ``{"max_length": 50}``.
        validator: what Pydantic does with a value, and nothing else of the model.
        serializer: how Pydantic writes it.
    """

    schema: dict[str, Any]
    plain: str | None
    nullable: bool
    bounds: dict[str, Any]
    validator: SchemaValidator
    serializer: SchemaSerializer

    def write(self, value: Any) -> bytes:
        """A value as Pydantic writes it.

        Raises:
            pydantic.ValidationError: the schema refuses it.
        """
        return self.serializer.to_json(
            self.validator.validate_python(value, from_attributes=True), by_alias=True
        )


@dataclass(frozen=True, eq=False)
class Nested:
    """A field that is another schema, or a list of it.

    Attributes:
        node: that schema.
        many: whether it is a list.
        nullable: whether None is one of its values.
    """

    node: Node
    many: bool
    nullable: bool


@dataclass(frozen=True, eq=False)
class Field:
    """A field of a schema.

    Attributes:
        name: its name in the schema.
        sources: names under which it is looked up on an object, the first that is there wins.
        key: its key in the answer, as JSON with its colon.
        content: what it holds; None where only Python knows.
        default: its default as JSON, where it has one that is a constant.
        required: whether it must be there.
        excluded: whether it is read and checked, but not written.
        reason: why the database cannot write it; None where it may.
    """

    name: str
    sources: tuple[str, ...]
    key: str
    content: Leaf | Nested | None
    default: str | None
    required: bool
    excluded: bool
    reason: str | None


@dataclass(frozen=True, eq=False)
class Node:
    """A schema as a list of fields.

    Attributes:
        model: the schema.
        fields: its fields.
        reason: why the database cannot write it, whatever its fields; None where it may.
    """

    model: type[BaseModel]
    fields: tuple[Field, ...]
    reason: str | None


@lru_cache(maxsize=512)
def read(model: type[BaseModel]) -> Node:
    """Read a schema.

    Raises:
        NeedsObjects: it looks at the objects themselves.
    """
    return _Reader(model.__pydantic_core_schema__).node(model.__pydantic_core_schema__, ())


class _Reader:
    def __init__(self, schema: Any) -> None:
        self._definitions: dict[str, Any] = {}
        self._collect(schema)

    def _collect(self, schema: Any) -> None:
        if schema["type"] == "definitions":
            for definition in schema["definitions"]:
                self._definitions[definition["ref"]] = definition
            self._collect(schema["schema"])

    def _resolve(self, schema: Any) -> Any:
        while schema["type"] in {"definitions", "definition-ref"}:
            schema = (
                schema["schema"] if schema["type"] == "definitions" else self._definitions[schema["schema_ref"]]
            )
        return schema

    def _is_model(self, schema: Any) -> bool:
        return bool(self._beneath(schema)["type"] == "model")

    def _beneath(self, schema: Any) -> Any:
        """The schema under the functions that are called with what it has made."""
        schema = self._resolve(schema)
        while schema["type"] == "function-after":
            schema = self._resolve(schema["schema"])
        return schema

    def node(self, schema: Any, above: tuple[type, ...]) -> Node:
        outer, schema = self._resolve(schema), self._beneath(schema)
        if schema["type"] != "model":
            raise NeedsObjects(f"its root is a {schema['type']}, not a model with fields")
        model: type[BaseModel] = schema["cls"]
        name = model.__name__
        if model in above:
            raise NeedsObjects(f"{name} contains itself")
        fields = schema["schema"]
        if schema.get("root_model"):
            raise NeedsObjects(f"{name} is a RootModel")
        if fields["type"] != "model-fields":
            raise NeedsObjects(f"{name} has a validator that is given the object")
        if schema.get("custom_init"):
            raise NeedsObjects(f"{name} has an __init__ of its own")
        config = schema.get("config") or {}
        read = (
            self._field(model, config, field_name, field, (*above, model))
            for field_name, field in fields["fields"].items()
        )
        return Node(model, tuple(read), _reason(name, outer, schema, fields))

    def _field(self, model: type, config: Any, name: str, field: Any, above: tuple[type, ...]) -> Field:
        where = f"{model.__name__}.{name}"
        content, default, required, reason = self._content(where, config, field["schema"], above)
        if "serialization_exclude_if" in field:
            reason = f"{where} has exclude_if"
        return Field(
            name=name,
            sources=_sources(where, name, field.get("validation_alias"), config),
            key=to_json(field.get("serialization_alias") or name).decode() + ":",
            content=content,
            default=default,
            required=required,
            excluded=field.get("serialization_exclude") is True,
            reason=reason,
        )

    def _content(
        self, where: str, config: Any, schema: Any, above: tuple[type, ...]
    ) -> tuple[Leaf | Nested | None, str | None, bool, str | None]:
        """What a field holds, its default as JSON, whether it must be there, and why it needs Python."""
        whole = inner = self._resolve(schema)
        default: Any = PydanticUndefined
        required = nullable = True
        validated = config.get("validate_default", False)
        wrapped = "serialization" in whole
        if inner["type"] == "default":
            required = False
            validated = inner.get("validate_default", validated)
            default = inner.get("default", PydanticUndefined)
            inner = self._resolve(inner["schema"])
            wrapped |= "serialization" in inner
        if inner["type"] == "nullable" and "serialization" not in inner:
            inner = self._resolve(inner["schema"])
        else:
            nullable = False
        nested = self._nested(inner, nullable, above)
        if nested is not None:
            limited = nested.many and inner.keys() - {"type", "items_schema", "metadata", "ref"}
            touched = wrapped or limited or "serialization" in inner or inner["type"] not in {"model", "list"}
            reason = f"{where} has limits, a validator or a serializer of its own" if touched else None
            return nested, None, required, reason
        try:
            leaf = self._leaf(where, config, whole, inner, nullable=nullable)
        except NeedsPython as reason:
            return None, None, required, str(reason)
        constant = None
        if default is not PydanticUndefined and not validated:
            constant = leaf.serializer.to_json(default, by_alias=True).decode()
        return leaf, constant, required, None

    def _nested(self, schema: Any, nullable: bool, above: tuple[type, ...]) -> Nested | None:
        beneath = self._beneath(schema)
        if beneath["type"] == "model" and not beneath.get("root_model"):
            return Nested(self.node(schema, above), many=False, nullable=nullable)
        if beneath["type"] == "list" and "items_schema" in beneath and self._is_model(beneath["items_schema"]):
            return Nested(self.node(beneath["items_schema"], above), many=True, nullable=nullable)
        return None

    def _leaf(self, where: str, config: Any, whole: Any, inner: Any, *, nullable: bool) -> Leaf:
        alone = self._inlined(where, whole, 0)
        plain: str | None = None
        bounds: dict[str, Any] = {}
        touched = (
            "serialization" in inner
            or "serialization" in whole
            or whole["type"]
            not in {
                "default",
                "nullable",
                inner["type"],
            }
        )
        if not touched and config.keys() <= _HARMLESS:
            bounds = {key: value for key, value in inner.items() if key not in _NOTED}
            plain = inner["type"]
        settings: CoreConfig | None = config or None
        return Leaf(
            schema=alone,
            plain=plain,
            nullable=nullable,
            bounds=bounds,
            validator=SchemaValidator(alone, settings),
            serializer=SchemaSerializer(alone, settings),
        )

    def _inlined(self, where: str, schema: Any, depth: int) -> Any:
        """The schema with what it refers to put in its place, so that it stands alone."""
        if depth > 20:
            raise NeedsPython(f"{where} contains itself")
        if isinstance(schema, list):
            return [self._inlined(where, item, depth) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "type" in schema and isinstance(schema["type"], str):
            schema = self._resolve(schema)
            _refuse_context(where, schema)
            depth += 1
        skipped = {"ref", "metadata"}
        return {
            key: value
            if key in {"members", "expected", "default", "cls"}
            else self._inlined(where, value, depth)
            for key, value in schema.items()
            if key not in skipped
        }


def _reason(name: str, outer: Any, schema: Any, fields: Any) -> str | None:
    """Why the database cannot write a model, whatever its fields."""
    if outer is not schema:
        return f"{name} has a validator of the whole model"
    if schema.get("post_init"):
        return f"{name} has a model_post_init of its own"
    if "serialization" in schema or "serialization" in fields:
        return f"{name} has a serializer of the whole model"
    if fields.get("computed_fields"):
        return f"{name}.{fields['computed_fields'][0]['property_name']} is a computed field"
    return None


def _refuse_context(where: str, schema: Any) -> None:
    """Refuse functions that look at more than the one value."""
    function = schema.get("function")
    if isinstance(function, dict) and function.get("type") == "with-info":
        raise NeedsPython(f"{where} has a validator that looks at other fields")
    serialization = schema.get("serialization")
    if serialization and (serialization.get("is_field_serializer") or serialization.get("info_arg")):
        raise NeedsPython(f"{where} has a serializer that looks at the model")


def _sources(where: str, name: str, alias: Any, config: Any) -> tuple[str, ...]:
    """Where Pydantic looks the field up on an object, in its order."""
    if alias is None:
        return (name,)
    by_name = config.get("validate_by_name", config.get("populate_by_name", False))
    by_alias = config.get("validate_by_alias", True)
    if isinstance(alias, str):
        names = (alias,)
    elif isinstance(alias, list) and all(isinstance(path, list) and len(path) == 1 for path in alias):
        names = tuple(path[0] for path in alias)
    else:
        raise NeedsObjects(f"{where} is looked up along a path")
    return (*(names if by_alias else ()), *((name,) if by_name else ()))


__all__ = ["Field", "Leaf", "NeedsObjects", "NeedsPython", "Nested", "Node", "read"]
