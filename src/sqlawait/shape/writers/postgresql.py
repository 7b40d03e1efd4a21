"""JSON written by PostgreSQL.

``concat`` writes all its arguments into one buffer by their types' own output functions. ``json_build_object``
would put spaces where Pydantic puts none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, Text, case, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, aggregate_order_by
from sqlalchemy.types import ARRAY

from sqlawait.shape.kinds import Kind, Stored
from sqlawait.shape.writers.base import Carried, Native, Writer, coalesce, quoted

_ARGUMENTS = 100
"""PostgreSQL's functions take no more."""


class PostgreSQLWriter(Writer):
    """JSON written by PostgreSQL."""

    name: ClassVar[str] = "postgresql"

    def mark(self) -> ColumnElement[str]:
        """chr() of a constant is one itself."""
        return func.chr(literal_column("1"), type_=Text)

    def concat(self, parts: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
        """concat(), in several where there are too many."""
        while len(parts) > _ARGUMENTS:
            groups = (parts[start : start + _ARGUMENTS] for start in range(0, len(parts), _ARGUMENTS))
            parts = [func.concat(*group, type_=Text) for group in groups]
        return func.concat(*parts, type_=Text)

    def collect(
        self, item: ColumnElement[str], order: Sequence[Any], rows: Select[Any], parent: Any
    ) -> ColumnElement[str]:
        """string_agg with its own ORDER BY."""
        items = func.string_agg(item, aggregate_order_by(self.text(","), *order), type_=Text)
        return rows.with_only_columns(coalesce(items, self.text(""))).correlate(parent).scalar_subquery()

    def gather(self, rows: Select[Any]) -> Select[Any]:
        """string_agg over the ordered rows."""
        inner = rows.subquery("shaped")
        (item,) = inner.c
        items = coalesce(func.string_agg(item, self.text(","), type_=Text), self.text(""))
        return select(func.concat(self.text("["), items, self.text("]"), type_=Text))

    def octets(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """Bytes in the server's encoding, UTF-8 in all but old databases."""
        return func.octet_length(value)

    def native(self, value: ColumnElement[Any], stored: Stored) -> Native | None:
        """Most types."""
        writer = _NATIVE.get(stored.kind)
        return None if writer is None else writer(self, value, stored)

    def carried(self, value: ColumnElement[Any], stored: Stored) -> Carried | None:
        """As JSON strings of what the type prints."""
        if isinstance(stored.type, ARRAY):
            return self._array(value, stored.type)
        decode = _DECODERS.get(stored.kind)
        if decode is None or type(stored.type).__module__.endswith((".hstore", ".ranges")):
            return None
        if stored.kind is Kind.BYTES:
            return Carried(quoted(self.concat, func.encode(value, self.text("hex"))), decode)
        if stored.kind is Kind.INTEGER:
            return Carried(cast(value, Text), decode)
        if stored.kind in {Kind.DATETIME, Kind.DATE, Kind.TIME}:
            written = self.native(value, stored)
            return None if written is None else Carried(written.json, decode, written.when)
        if stored.kind is Kind.JSON and stored.processor is None:
            decode = (
                getattr(self.dialect, "_json_deserializer", None) or json.loads
            )  # asyncpg decodes it itself
        if stored.kind is Kind.FLOAT:
            value = cast(value, DOUBLE_PRECISION)
        elif stored.kind is Kind.STRING:
            return Carried(func.to_json(value), decode)  # a cast would strip char(n)
        return Carried(func.to_json(cast(value, Text)), decode)

    def _array(self, value: ColumnElement[Any], type_: ARRAY[Any]) -> Carried | None:
        """As a JSON array of what the items print."""
        kind = Stored(type_.item_type, self.dialect).kind
        decode = _DECODERS.get(kind)
        if decode is None or kind not in _ITEMS:
            return None

        def items(given: Any) -> Any:
            return (
                [items(item) for item in given]
                if isinstance(given, list)
                else given
                if given is None
                else decode(given)
            )

        return Carried(func.to_json(cast(value, ARRAY(Text))), items)


def _boolean(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    return Native(case((value, writer.text("true")), else_=writer.text("false")))


def _integer(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del writer, stored
    return Native(cast(value, Text), passes_null=True)


def _string(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del writer, stored
    return Native(cast(func.to_json(value), Text), passes_null=True)


def _float(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    """The shortest digits that give the number back, as Python's; small and large ones look different."""
    del stored
    value = cast(value, DOUBLE_PRECISION)  # a real has the digits of the double that Python gets
    size = func.abs(value)
    plain = (value == literal_column("0")) | size.between(
        literal_column("0.0001"), literal_column("999999999999999")
    )
    whole = value == func.trunc(value)
    digits = cast(value, Text)
    return Native(case((whole, writer.concat([digits, writer.text(".0")])), else_=digits), plain, rarely=False)


def _decimal(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    """Python goes over to an exponent below a millionth, and writes a zero with its scale: ``0E-8``."""
    del stored
    plain = (func.abs(value) >= literal_column("0.000001")) | (func.scale(value) <= literal_column("6"))
    finite = func.abs(value) < literal_column("'Infinity'::numeric")
    return Native(quoted(writer.concat, value), plain & finite, rarely=False)


def _datetime(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    zoned = bool(getattr(stored.type, "timezone", False))
    local = func.timezone(writer.text("UTC"), value) if zoned else value
    seconds = func.to_char(local, writer.text('YYYY-MM-DD"T"HH24:MI:SS'))
    fraction = func.to_char(local, writer.text(".US"))
    parts = [seconds, _unless_zero(writer, fraction, ".000000"), *([writer.text("Z")] if zoned else [])]
    within = (local >= literal_column("'0001-01-01'::timestamp")) & (
        local < literal_column("'10000-01-01'::timestamp")
    )
    return Native(quoted(writer.concat, writer.concat(parts)), within)


def _date(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    within = (value >= literal_column("'0001-01-01'::date")) & (value < literal_column("'10000-01-01'::date"))
    return Native(quoted(writer.concat, func.to_char(value, writer.text("YYYY-MM-DD"))), within)


def _time(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native | None:
    if getattr(stored.type, "timezone", False):
        return None
    seconds = func.to_char(value, writer.text("HH24:MI:SS"))
    fraction = _unless_zero(writer, func.to_char(value, writer.text(".US")), ".000000")
    return Native(
        quoted(writer.concat, writer.concat([seconds, fraction])), value < literal_column("'24:00'::time")
    )


def _uuid(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    return Native(quoted(writer.concat, value))


def _unless_zero(writer: Writer, fraction: ColumnElement[Any], zero: str) -> ColumnElement[Any]:
    return case((fraction == writer.text(zero), writer.text("")), else_=fraction)


_NATIVE: dict[Kind, Callable[[Writer, ColumnElement[Any], Stored], Native | None]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INTEGER: _integer,
    Kind.STRING: _string,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.DATETIME: _datetime,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.UUID: _uuid,
}

_DECODERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: lambda text: text == "true",
    Kind.INTEGER: int,
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.STRING: str,
    Kind.ENUM: str,
    Kind.BYTES: bytes.fromhex,
    Kind.DATETIME: datetime.fromisoformat,
    Kind.DATE: date.fromisoformat,
    Kind.TIME: time.fromisoformat,
    Kind.UUID: uuid.UUID,
    Kind.JSON: str,
}

_ITEMS = {Kind.INTEGER, Kind.STRING, Kind.DECIMAL, Kind.FLOAT, Kind.UUID}
"""What an array may hold to be carried: its items print alike, whatever the session's settings."""

__all__ = ["PostgreSQLWriter"]
