"""How a database writes JSON, byte for byte as Pydantic does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal_column
from sqlalchemy.engine.interfaces import Dialect

from sqlawait.shape.kinds import Kind, Stored

MARK = b"\x01"
"""Stands around what Python has to finish. JSON escapes this character, so no value can hold it."""

UNWRITABLE = MARK + b"!" + MARK
"""Written where a value can be neither written nor carried: the read is done again the other way."""


@dataclass(frozen=True, slots=True)
class Native:
    """A value written by the database.

    Attributes:
        json: the JSON text.
        when: where it is what Pydantic would write; None: always.
        rarely: whether values for which it is not are so rare that the whole read may be done again for one.
        passes_null: whether the text of NULL is NULL.
    """

    json: ColumnElement[Any]
    when: ColumnElement[bool] | None = None
    rarely: bool = True
    passes_null: bool = False


@dataclass(frozen=True, slots=True)
class Carried:
    """A value carried to Python without loss.

    Attributes:
        json: some JSON that holds the value.
        decode: makes of that JSON what the driver would have given.
        when: where it can be carried; None: always.
    """

    json: ColumnElement[Any]
    decode: Callable[[Any], Any]
    when: ColumnElement[bool] | None = None


class Writer(ABC):
    """The SQL of one database. It has no state but the dialect."""

    name: ClassVar[str]
    backslashes: ClassVar[bool] = False
    """Whether a backslash in a string literal has to be doubled."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def text(self, value: str) -> ColumnElement[str]:
        """A constant of the schema's as a literal. Values of requests never come here: they stay bound."""
        quoted = value.replace("'", "''")
        if self.backslashes:
            quoted = quoted.replace("\\", "\\\\")
        return literal_column(f"'{quoted}'", Text)

    @abstractmethod
    def mark(self) -> ColumnElement[str]:
        """The mark as SQL."""

    @abstractmethod
    def concat(self, parts: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
        """One text of several, none of them NULL."""

    @abstractmethod
    def collect(
        self, item: ColumnElement[str], order: Sequence[Any], rows: Select[Any], parent: Any
    ) -> ColumnElement[str]:
        """The items of a correlated select in order, with commas between; an empty text where there is none."""

    @abstractmethod
    def gather(self, rows: Select[Any]) -> Select[Any] | None:
        """The one column of a select as one text, in the select's order; None where Python had better do it."""

    @abstractmethod
    def native(self, value: ColumnElement[Any], stored: Stored) -> Native | None:
        """A value of a plain type, not NULL, as JSON."""

    @abstractmethod
    def carried(self, value: ColumnElement[Any], stored: Stored) -> Carried | None:
        """A value, not NULL, for Python to finish."""

    @abstractmethod
    def octets(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """How many bytes a string takes: no fewer than it has characters."""

    def same(self, value: ColumnElement[Any], label: str) -> ColumnElement[bool]:
        """Whether a text is this one exactly."""
        return cast(value, Text) == self.text(label)

    def fits(self, value: ColumnElement[Any], kind: Kind, bounds: dict[str, Any]) -> ColumnElement[bool] | None:
        """A condition under which a value keeps all bounds; None where there is none that is worth its cost."""
        condition: ColumnElement[bool] = literal_column("1") == literal_column("1")
        for name, bound in bounds.items():
            if kind is Kind.STRING and name == "max_length":
                condition &= self.octets(value) <= literal_column(str(int(bound)))
            elif kind is Kind.STRING and name == "min_length":
                condition &= self.octets(value) >= literal_column(str(4 * int(bound) - 3))
            elif kind is Kind.INTEGER and name in _COMPARED and isinstance(bound, int):
                condition &= _COMPARED[name](value, literal_column(str(bound)))
            else:
                return None
        return condition


_COMPARED: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "ge": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "le": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}


def quoted(
    concat: Callable[[Sequence[ColumnElement[Any]]], ColumnElement[str]], value: Any
) -> ColumnElement[str]:
    """A text that needs no escaping, in quotation marks."""
    mark = literal_column("'\"'", Text)
    return concat([mark, value, mark])


def coalesce(value: ColumnElement[Any], otherwise: ColumnElement[Any]) -> ColumnElement[Any]:
    """``value``, or the other where it is NULL."""
    return func.coalesce(value, otherwise, type_=Text)


__all__ = ["MARK", "UNWRITABLE", "Carried", "Native", "Writer", "coalesce", "quoted"]
