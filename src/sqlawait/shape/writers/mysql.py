"""JSON written by MariaDB and MySQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BINARY, CHAR, ColumnElement, Select, Text, case, cast, func, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from sqlawait.shape.kinds import Kind, Stored
from sqlawait.shape.writers.base import Carried, Native, Writer, quoted


class _Joined(FunctionElement[str]):
    """GROUP_CONCAT with its own ORDER BY: the first argument is joined in the order of the others."""

    name = "group_concat"
    type = Text()
    inherit_cache = True


@compiles(_Joined)
def _compile_joined(element: _Joined, compiler: Any, **options: Any) -> str:
    item, *order = (compiler.process(clause, **options) for clause in element.clauses)
    return f"GROUP_CONCAT({item} ORDER BY {', '.join(order)} SEPARATOR ',')"


class MySQLWriter(Writer):
    """JSON written by MariaDB and MySQL."""

    name: ClassVar[str] = "mysql"

    @property
    def backslashes(self) -> bool:  # type: ignore[override]  # here the server's sql_mode decides
        """Whether a backslash in a string literal has to be doubled."""
        return bool(getattr(self.dialect, "_backslash_escapes", True))

    def mark(self) -> ColumnElement[str]:
        """A character literal: CHAR(1) would be binary."""
        return literal_column("_utf8mb4 X'01'", Text)

    def concat(self, parts: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
        """concat()."""
        return func.concat(*parts, type_=Text) if len(parts) > 1 else parts[0]

    def collect(
        self, item: ColumnElement[str], order: Sequence[Any], rows: Select[Any], parent: Any
    ) -> ColumnElement[str]:
        """GROUP_CONCAT: NULL for no rows, but also for a text too long, which must not look like no rows."""
        empty = func.count() == literal_column("0")
        items = case((empty, self.text("")), else_=_Joined(item, *order))
        return rows.with_only_columns(items).correlate(parent).scalar_subquery()

    def gather(self, rows: Select[Any]) -> None:
        """Python joins the rows: a derived table has no order here."""
        del rows

    def octets(self, value: ColumnElement[Any]) -> ColumnElement[int]:
        """octet_length()."""
        return func.octet_length(value)

    def same(self, value: ColumnElement[Any], label: str) -> ColumnElement[bool]:
        """By its bytes: collations may find letters of different case equal."""
        return cast(value, BINARY) == self.text(label)

    def native(self, value: ColumnElement[Any], stored: Stored) -> Native | None:
        """Most types."""
        writer = _NATIVE.get(stored.kind)
        return None if writer is None else writer(self, value, stored)

    def carried(self, value: ColumnElement[Any], stored: Stored) -> Carried | None:
        """As what the text protocol would send."""
        decode = _DECODERS.get(stored.kind)
        if decode is None:
            return None
        if stored.kind is Kind.BYTES:
            return Carried(quoted(self.concat, func.hex(value)), decode)
        if stored.kind in {Kind.INTEGER, Kind.BOOLEAN}:
            return Carried(cast(value, CHAR), decode)
        if stored.kind in {Kind.DATETIME, Kind.DATE}:
            written = self.native(value, stored)
            return None if written is None else Carried(written.json, decode, written.when)
        if stored.kind is Kind.STRING:
            return Carried(func.json_quote(value), decode)
        if stored.kind is Kind.UUID and not _is_hex(self, stored):
            decode = str  # as the driver gives MariaDB's own type
        return Carried(func.json_quote(cast(value, CHAR)), decode)


def _boolean(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    return Native(
        case((cast(value, CHAR) == writer.text("0"), writer.text("false")), else_=writer.text("true"))
    )


def _integer(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del writer, stored
    return Native(cast(value, CHAR), passes_null=True)


def _string(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    """json_quote writes control characters in capital digits, Pydantic in small ones."""
    del stored
    return Native(func.json_quote(value), ~_matches(value, writer.text(r"[\x0b\x0e-\x1f]")), rarely=False)


def _float(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    """The shortest digits that give the number back, as Python's, unless the column fixes their number."""
    del stored
    text = cast(value, CHAR)
    whole = _matches(text, writer.text("^-?[0-9]{1,15}$"))
    plain = _matches(text, writer.text(r"^-?[0-9]{1,15}(\.[0-9]*[1-9])?$")) & ~_matches(
        text, writer.text(r"^-?0\.0000")
    )
    return Native(case((whole, writer.concat([text, writer.text(".0")])), else_=text), plain, rarely=False)


def _decimal(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    """Python goes over to an exponent below a millionth, and writes a zero with its scale: ``0E-8``."""
    scale = getattr(stored.type, "scale", None)
    plain = None if scale is not None and scale <= 6 else func.abs(value) >= literal_column("0.000001")
    return Native(quoted(writer.concat, cast(value, CHAR)), plain, rarely=False)


def _datetime(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    seconds = func.date_format(value, writer.text("%Y-%m-%dT%H:%i:%s"))
    return Native(quoted(writer.concat, writer.concat([seconds, _fraction(writer, value)])), _exists(value))


def _date(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    return Native(quoted(writer.concat, func.date_format(value, writer.text("%Y-%m-%d"))), _exists(value))


def _time(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    del stored
    seconds = func.time_format(value, writer.text("%H:%i:%s"))
    within = (value >= writer.text("00:00:00")) & (value < writer.text("24:00:00"))
    return Native(quoted(writer.concat, writer.concat([seconds, _fraction(writer, value)])), within)


def _uuid(writer: Writer, value: ColumnElement[Any], stored: Stored) -> Native:
    if not _is_hex(writer, stored):
        return Native(quoted(writer.concat, cast(value, CHAR)))
    lower = func.lower(value)
    parts: list[ColumnElement[Any]] = []
    for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)):
        parts += [
            func.substr(lower, literal_column(str(start)), literal_column(str(length))),
            writer.text("-"),
        ]
    return Native(
        quoted(writer.concat, writer.concat(parts[:-1])), _matches(value, writer.text("^[0-9a-fA-F]{32}$"))
    )


def _is_hex(writer: Writer, stored: Stored) -> bool:
    return not (getattr(stored.type, "native_uuid", True) and writer.dialect.supports_native_uuid)


def _matches(value: ColumnElement[Any], pattern: ColumnElement[str]) -> ColumnElement[bool]:
    return value.op("REGEXP", is_comparison=True)(pattern)


def _exists(value: ColumnElement[Any]) -> ColumnElement[bool]:
    """Not one of the dates with zeros in them, which are no dates."""
    zero: ColumnElement[int] = literal_column("0")
    return (func.year(value) > zero) & (func.month(value) > zero) & (func.day(value) > zero)


def _fraction(writer: Writer, value: ColumnElement[Any]) -> ColumnElement[Any]:
    fraction = func.date_format(value, writer.text(".%f"))
    return case((func.microsecond(value) == literal_column("0"), writer.text("")), else_=fraction)


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


def _duration(text: str) -> timedelta:
    """A TIME as the drivers give it; it may be longer than a day, or negative."""
    hours, minutes, seconds = text.removeprefix("-").split(":")
    whole, _, fraction = seconds.partition(".")
    duration = timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(whole), microseconds=int(fraction.ljust(6, "0"))
    )
    return -duration if text.startswith("-") else duration


_DECODERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: int,
    Kind.INTEGER: int,
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.STRING: str,
    Kind.ENUM: str,
    Kind.BYTES: bytes.fromhex,
    Kind.DATETIME: datetime.fromisoformat,
    Kind.DATE: date.fromisoformat,
    Kind.TIME: _duration,
    Kind.UUID: lambda text: uuid.UUID(text).hex,
    Kind.JSON: str,
}

__all__ = ["MySQLWriter"]
