"""What a column gives to Python, whatever the database calls it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import types
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

Processor = Callable[[Any], Any]


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
        plain: False where code of the type's own has a say in each value, in Python or in SQL.
        expressed: whether it has a say in SQL: such a column cannot be read inside of an expression.
        processor: makes the Python value of the driver's, or None.
    """

    __slots__ = ("expressed", "kind", "plain", "processor", "type")

    def __init__(self, declared: TypeEngine[Any], dialect: Dialect) -> None:
        impl: TypeEngine[Any] = declared.dialect_impl(dialect)
        self.plain = True
        while isinstance(impl, TypeDecorator):
            self.plain = False
            impl = impl.impl_instance.dialect_impl(dialect)
        self.type = impl
        self.kind = next((kind for generic, kind in _KINDS if isinstance(impl, generic)), Kind.OTHER)
        self.processor = _processor(declared, impl, dialect)
        if self.kind in {Kind.DECIMAL, Kind.FLOAT}:
            decimal = bool(getattr(impl, "asdecimal", False))
            if decimal and self.kind is Kind.FLOAT:
                self.plain = False  # a Decimal made of a float, by SQLAlchemy
            elif not decimal:
                self.kind = Kind.FLOAT
        if self.kind is Kind.UUID and not getattr(impl, "as_uuid", True):
            self.plain = False
        self.expressed = declared._has_column_expression
        if self.kind is Kind.OTHER or self.expressed:
            self.plain = False

    @property
    def labels(self) -> list[str]:
        """What an enumeration may hold in the database."""
        return list(getattr(self.type, "enums", ()))

    def value(self, given: Any) -> Any:
        """The Python value of what the driver gives."""
        return given if self.processor is None else self.processor(given)


def _processor(declared: TypeEngine[Any], impl: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    """What SQLAlchemy does to each value.

    For numbers on PostgreSQL it goes by the type of what the statement gives, which here is known only by the
    value itself: ``func.sum()`` of integers may be declared as one type and come as another.
    """
    own = declared.dialect_impl(dialect)
    if isinstance(impl, types.ARRAY):
        return own.result_processor(dialect, 1022 if isinstance(impl.item_type, types.Float) else 1231)
    if dialect.name != "postgresql" or not isinstance(impl, (types.Numeric, types.Float)):
        return own.result_processor(dialect, None)
    usual = 701 if isinstance(impl, types.Float) else 1700
    made = {kind: own.result_processor(dialect, code) for kind, code in _CODES.items()}
    otherwise = own.result_processor(dialect, usual)
    if otherwise is None and not any(made.values()):
        return None

    def process(value: Any) -> Any:
        processor = made.get(type(value), otherwise)
        return value if processor is None else processor(value)

    return process


_CODES: dict[type, int] = {float: 701, Decimal: 1700, int: 20}
"""PostgreSQL's number of the type that asyncpg gives as a Python type."""


__all__ = ["Kind", "Processor", "Stored"]
