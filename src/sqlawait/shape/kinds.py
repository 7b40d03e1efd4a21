"""What a column gives to Python, whatever the database calls it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import types
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class Kind(StrEnum):
    """The Python type of a column's values."""

    BOOLEAN = "bool"
    INTEGER = "int"
    FLOAT = "float"
    DECIMAL = "decimal"
    STRING = "str"
    ENUM = "enum"
    BYTES = "bytes"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    UUID = "uuid"
    JSON = "json"
    OTHER = "other"


_KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (types.Boolean, Kind.BOOLEAN),
    (types.Integer, Kind.INTEGER),
    (types.Enum, Kind.ENUM),  # before String, which it is
    (types.Float, Kind.FLOAT),  # before Numeric, which it is
    (types.Numeric, Kind.DECIMAL),
    (types.DateTime, Kind.DATETIME),
    (types.Date, Kind.DATE),
    (types.Time, Kind.TIME),
    (types.Uuid, Kind.UUID),
    (types.JSON, Kind.JSON),
    (types.String, Kind.STRING),
    (types.LargeBinary, Kind.BYTES),
)


class Stored:
    """How a column's values are kept on one database.

    Attributes:
        kind: the Python type of a plain value.
        type: the type as the dialect has it, beneath any decorator.
        plain: False where Python code of the type's own has a say in each value.
        processor: makes the Python value of the driver's, or None.
    """

    __slots__ = ("kind", "plain", "processor", "type")

    def __init__(self, declared: TypeEngine[Any], dialect: Dialect) -> None:
        impl: TypeEngine[Any] = declared.dialect_impl(dialect)
        self.plain = True
        while isinstance(impl, TypeDecorator):
            self.plain = False
            impl = impl.impl_instance.dialect_impl(dialect)
        self.type = impl
        self.kind = next((kind for generic, kind in _KINDS if isinstance(impl, generic)), Kind.OTHER)
        self.processor = declared.dialect_impl(dialect).result_processor(dialect, _code(impl, dialect))
        if self.kind in {Kind.DECIMAL, Kind.FLOAT}:
            decimal = bool(getattr(impl, "asdecimal", False))
            if decimal and self.kind is Kind.FLOAT:
                self.plain = False  # a Decimal made of a float, by SQLAlchemy
            elif not decimal:
                self.kind = Kind.FLOAT
        if self.kind is Kind.UUID and not getattr(impl, "as_uuid", True):
            self.plain = False
        if self.kind is Kind.OTHER:
            self.plain = False

    @property
    def labels(self) -> list[str]:
        """What an enumeration may hold in the database."""
        return list(getattr(self.type, "enums", ()))

    def value(self, given: Any) -> Any:
        """The Python value of what the driver gives."""
        return given if self.processor is None else self.processor(given)


def _code(impl: TypeEngine[Any], dialect: Dialect) -> object:
    """PostgreSQL's number of the type, which SQLAlchemy looks at where a column is a number."""
    if dialect.name != "postgresql":
        return None
    return 701 if isinstance(impl, types.Float) else 1700


__all__ = ["Kind", "Stored"]
