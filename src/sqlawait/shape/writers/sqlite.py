"""JSON written by SQLite.

A column may hold a value of any type there, so each is looked at before it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, literal_column, select, type_coerce
from sqlalchemy.types import Float, Integer, LargeBinary

from sqlawait.shape.kinds import Kind, Stored
from sqlawait.shape.writers.base import Carried, Native, Writer, coalesce, quoted

_DIGIT = "[0-9]"
_DATE = "-".join((_DIGIT * 4, _DIGIT * 2, _DIGIT * 2))
_TIME = ":".join((_DIGIT * 2,) * 3) + "." + _DIGIT * 6
_SCALE = 2**62
"""What a fraction is multiplied with to carry it as a whole number: exact for a power of two."""


class SQLiteWriter(Writer):
    """JSON written by SQLite."""

    name: ClassVar[str] = "sqlite"

    def mark(self) -> ColumnElement[str]:
        """char() of a constant is computed once."""
        return func.char(literal_column("1"), type_=Text)

    def concat(self, parts: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
        """``||``, as a tree that is no deeper than it must be."""
        texts = list(parts)
        while len(texts) > 1:
            texts = [
                texts[index].op("||")(texts[index + 1]) if index + 1 < len(texts) else texts[index]
                for index in range(0, len(texts), 2)
            ]
        return texts[0]

    def collect(
        self, item: ColumnElement[str], order: Sequence[Any], rows: Select[Any], parent: Any
    ) -> ColumnElement[str]:
        """group_concat over ordered rows: it has no ORDER BY of its own before SQLite 3.44."""
        inner = rows.with_only_columns(item.label("item")).order_by(*order).correlate(parent).subquery()
        items = coalesce(func.group_concat(inner.c.item, self.text(",")), self.text(""))
        return select(items).correlate(parent).scalar_subquery()

    def gather(self, rows: Select[Any]) -> Select[Any]:
        """group_concat over the ordered rows."""
        inner = rows.subquery("shaped")
        (item,) = inner.c
        items = coalesce(func.group_concat(item, self.text(",")), self.text(""))
        return select(self.concat([self.text("["), items, self.text("]")]))

    def octets(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """length() of the text would stop at a NUL."""
        return func.length(cast(value, LargeBinary))

    def native(self, value: ColumnElement[Any], stored: Stored) -> Native | None:
        """What is kept as the type's usual text or integer."""
        writer = _NATIVE.get(stored.kind)
        return None if writer is None else writer(self, value, stored)

    def carried(self, value: ColumnElement[Any], stored: Stored) -> Carried | None:
        """By what is there, not by what the column says."""
        del stored
        value = type_coerce(value, Float)  # the operators below are SQLite's, not those of the column's type
        whole = cast(value, Integer)
        fraction = (value - whole) * literal_column(f"{_SCALE}.0")
        real = self.concat([self.text("["), whole, self.text(","), cast(fraction, Integer), self.text("]")])
        binary = self.concat([self.text('{"":"'), func.hex(value), self.text('"}')])
        kind = func.typeof(value)
        json = case(
            (kind == self.text("text"), func.json_quote(value)),
            (kind == self.text("integer"), value),
            (kind == self.text("real"), real),
            else_=binary,
        )
        exact = (func.abs(value) < literal_column("9e15")) & (fraction == cast(fraction, Integer))
        return Carried(json, _decode, (kind != self.text("real")) | exact)

    def same(self, value: ColumnElement[Any], label: str) -> ColumnElement[bool]:
        """Without a cast: a number is not the text of its digits."""
        return value == self.text(label)


def _decode(json: Any) -> Any:
    if isinstance(json, list):
        whole, fraction = json
        return (whole * _SCALE + fraction) / _SCALE
    if isinstance(json, dict):
        return bytes.fromhex(json[""])
    return json


def _is(value: ColumnElement[Any], kind: str) -> ColumnElement[bool]:
    return func.typeof(value) == literal_column(f"'{kind}'")


def _boolean(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    number = cast(value, Integer)
    json = case((number == literal_column("1"), writer.text("true")), else_=writer.text("false"))
    return Native(json, _is(value, "integer") & number.in_([literal_column("0"), literal_column("1")]))


def _integer(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del writer, stored
    return Native(cast(value, Text), _is(value, "integer"))


def _string(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del writer, stored
    return Native(func.json_quote(value), _is(value, "text"))


def _datetime(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native | None:
    if not _usual(stored, f"%(year)04d-%(month)02d-%(day)02d {_TIME_FORMAT}"):
        return None
    parts = [_part(value, 1, 10), writer.text("T"), _part(value, 12, 8), _fraction(writer, value, 20)]
    return Native(quoted(writer.concat, writer.concat(parts)), _like(writer, value, f"{_DATE} {_TIME}"))


def _date(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native | None:
    if not _usual(stored, "%(year)04d-%(month)02d-%(day)02d"):
        return None
    return Native(quoted(writer.concat, value), _like(writer, value, _DATE))


def _time(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native | None:
    if not _usual(stored, _TIME_FORMAT):
        return None
    parts = [_part(value, 1, 8), _fraction(writer, value, 9)]
    return Native(quoted(writer.concat, writer.concat(parts)), _like(writer, value, _TIME))


def _uuid(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native | None:
    if getattr(stored.type, "native_uuid", True) and writer.dialect.supports_native_uuid:
        return None
    parts: list[ColumnElement[Any]] = []
    for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)):
        parts += [_part(value, start, length), writer.text("-")]
    return Native(quoted(writer.concat, writer.concat(parts[:-1])), _like(writer, value, "[0-9a-f]" * 32))


_TIME_FORMAT = "%(hour)02d:%(minute)02d:%(second)02d.%(microsecond)06d"


def _usual(stored: Stored, form: str) -> bool:
    """Whether dates are kept in SQLAlchemy's usual form and not in one that the program chose."""
    given = getattr(stored.type, "_storage_format", None)
    return given == form and getattr(stored.type, "_reg", None) is None


def _like(writer: Writer, value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Digits where digits belong. That the day exists is SQLAlchemy's to check, when it is written."""
    return _is(value, "text") & value.op("GLOB", is_comparison=True)(writer.text(pattern))


def _part(value: ColumnElement[Any], start: int, length: int) -> ColumnElement[Any]:
    return func.substr(value, literal_column(str(start)), literal_column(str(length)), type_=Text)


def _fraction(writer: Writer, value: ColumnElement[Any], start: int) -> ColumnElement[Any]:
    fraction = _part(value, start, 7)
    return case((fraction == writer.text(".000000"), writer.text("")), else_=fraction)


_NATIVE: dict[Kind, Callable[[Writer, ColumnElement[Any], Stored], Native | None]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.STRING: _string,
    Kind.DATETIME: _datetime,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
}

__all__ = ["SQLiteWriter"]
