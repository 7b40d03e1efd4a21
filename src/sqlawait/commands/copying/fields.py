"""A column's way from SQLite to another database: what is read, whether it fits there, how it is compared.

SQLite keeps any value in any column. So each is looked at twice: whether it is what the column's type stores in
SQLite, and whether the other database's column can hold what the application reads from it.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Enum,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    cast,
)
from sqlalchemy.types import JSON, TypeEngine

from sqlawait.vectors import Vector

_REAL = 3.4028234663852886e38
_REAL_BITS = 24


class Misfit(Exception):
    """A value that its new column cannot hold."""


class Field:
    """One column.

    Parameters:
        column: as the models have it.
        source: SQLite's dialect.
        target: the other database's.
    """

    def __init__(self, column: Column[Any], source: Dialect, target: Dialect) -> None:
        self.column = column
        self.name = column.name
        stored, then = column.type.dialect_impl(source), column.type.dialect_impl(target)
        self._decorated = isinstance(stored, TypeDecorator) or isinstance(then, TypeDecorator)
        self._stored, self._then = _plain(stored), _plain(then)
        self._is_json = isinstance(self._stored, JSON) and isinstance(self._then, JSON) and not self._decorated
        self._taken = next((taken for kind, taken in _STORED if isinstance(self._stored, kind)), None)
        self._is_vector = isinstance(column.type, Vector)
        self._read = stored.result_processor(source, None)
        self._write = then.bind_processor(target)
        self._mysql = target.name != "postgresql"

    @property
    def read_back(self) -> ColumnElement[Any]:
        """What to select to compare: JSON as its text, in which NULL and null differ."""
        return cast(self.column, Text) if self._is_json else self.column

    def value(self, raw: Any) -> Any:
        """What the application reads, from what SQLite holds.

        Raises:
            Misfit: it is not what the column's type stores, or the new column cannot hold it.
        """
        if raw is None:
            if not self.column.nullable:
                raise Misfit("NULL, where the column takes none")
            return None
        if self._taken is not None and not isinstance(raw, self._taken):
            raise Misfit(f"{_show(raw)} is no {_name(self._stored)}")
        if self._is_json:
            return self._json(raw)
        if isinstance(self._stored, Boolean) and raw not in {0, 1}:
            raise Misfit(f"{raw} is no {_name(self._stored)}")
        try:
            value = raw if self._read is None else self._read(raw)
        except Exception as error:  # whatever a type's own code says of a value
            raise Misfit(f"{_show(raw)} is no {_name(self._stored)} ({type(error).__name__})") from error
        if isinstance(value, Decimal) and isinstance(raw, float) and float(value) != raw:
            raise Misfit(f"{raw!r} has more decimals than {_name(self._then)}")
        if not self._decorated:
            value = _zoned(value, self._then)
        if isinstance(value, str):
            _check_text(value)
        _check_bounds(value, self._then, mysql=self._mysql)
        return value

    def record(self, value: Any) -> Any:
        """The value as the other database's driver takes it.

        Raises:
            Misfit: the column's type refuses it.
        """
        if value is None or self._is_json or self._write is None:
            return value
        try:
            return self._write(value)
        except Exception as error:  # whatever a type's own code says of a value
            raise Misfit(f"{_show(value)} is refused: {error}") from error

    def comparable(self, value: Any) -> Any:
        """The value in a form that is the same wherever it was read."""
        if value is None:
            return None
        if self._is_vector:  # databases write the same 32-bit float with more or fewer digits
            return struct.pack(f"<{len(value)}f", *value)
        return _json_form(value) if self._is_json else _form(value)

    def _json(self, raw: Any) -> str:
        text = raw if isinstance(raw, str) else json.dumps(raw)  # SQLite makes a number of '12'
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            raise Misfit(f"{_show(raw)} is no JSON ({error})") from error
        _check_text(json.dumps(value, ensure_ascii=False))
        if "\\u0000" in json.dumps(value):
            raise Misfit("JSON with the character NUL, which no column holds")
        return text


def checksum(fields: Sequence[Field], values: Sequence[Any]) -> int:
    """A number for a row. Those of a table's rows are added up: their order does not matter."""
    forms = tuple(field.comparable(value) for field, value in zip(fields, values, strict=True))
    return int.from_bytes(blake2b(repr(forms).encode(), digest_size=16).digest())


def _plain(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    return type_.impl_instance if isinstance(type_, TypeDecorator) else type_


_STORED: list[tuple[type[TypeEngine[Any]], tuple[type, ...]]] = [
    (Boolean, (int,)),
    (Integer, (int,)),
    (Numeric, (int, float)),
    (JSON, (str, int, float)),
    (LargeBinary, (bytes,)),
    *((kind, (str,)) for kind in (Enum, String, Uuid, DateTime, Date, Time)),
]
"""What SQLite has where the value is one of the column's type."""


def _check_text(value: str) -> None:
    if "\0" in value:
        raise Misfit("text with the character NUL, which no column holds")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Misfit("text that is no UTF-8") from error


def _check_bounds(value: Any, type_: TypeEngine[Any], *, mysql: bool) -> None:
    match value:
        case bool():
            return
        case int() if isinstance(type_, Integer):
            bits = 64 if isinstance(type_, BigInteger) else 16 if isinstance(type_, SmallInteger) else 32
            if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
                raise Misfit(f"{value} is more than {_name(type_)} holds")
        case str() if isinstance(type_, String) and type_.length is not None and len(value) > type_.length:
            raise Misfit(f"{len(value)} characters, more than {_name(type_)} holds")
        case Decimal() if isinstance(type_, Numeric):
            _check_decimal(value, type_)
        case float() if isinstance(type_, Float):
            _check_float(value, type_, mysql=mysql)
        case datetime() if mysql:
            if value.year < 1000:
                raise Misfit(f"{value.isoformat()} is before the year 1000, where MySQL's calendar begins")
            if value.microsecond and not getattr(type_, "fsp", None):
                raise Misfit(f"{value.isoformat()} has parts of a second, which this column cuts off")
        case _:
            return


def _check_decimal(value: Decimal, type_: Numeric[Any]) -> None:
    if not value.is_finite():
        raise Misfit(f"{value} is no number that a column holds")
    _, digits, exponent = (
        value.normalize().as_tuple() if len(value.as_tuple().digits) <= 28 else value.as_tuple()
    )
    assert isinstance(exponent, int)  # of a finite number
    if type_.scale is not None and -exponent > type_.scale:
        raise Misfit(f"{value} has more decimals than {_name(type_)}")
    if type_.precision is not None and value and len(digits) + exponent > type_.precision - (type_.scale or 0):
        raise Misfit(f"{value} is more than {_name(type_)} holds")


def _check_float(value: float, type_: Float[Any], *, mysql: bool) -> None:
    if mysql and not math.isfinite(value):
        raise Misfit(f"{value} is no number that MySQL holds")
    short = type_.precision is not None and type_.precision <= _REAL_BITS
    if (
        short
        and math.isfinite(value)
        and (abs(value) > _REAL or struct.unpack("f", struct.pack("f", value))[0] != value)
    ):
        raise Misfit(f"{value!r} has more digits than {_name(type_)}")


def _zoned(value: Any, type_: TypeEngine[Any]) -> Any:
    """SQLite's types keep no zone: what they hold is a reading of UTC."""
    if not isinstance(value, (datetime, time)) or not isinstance(type_, (DateTime, Time)):
        return value
    if type_.timezone:
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if value.tzinfo:
        raise Misfit(f"{value.isoformat()} has a zone, which {_name(type_)} does not keep")
    return value


def _form(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case enum.Enum():
            return value.name
        case Decimal():
            text = format(value, "f")
            return "decimal", text.rstrip("0").rstrip(".") if "." in text else text
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value // timedelta(microseconds=1)
        case UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case dict():
            return sorted((str(key), _form(each)) for key, each in value.items())
        case list() | tuple():
            return [_form(each) for each in value]
        case _:
            return repr(value)


def _json_form(text: str) -> Any:
    return _form(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _name(type_: TypeEngine[Any]) -> str:
    try:
        return str(type_)
    except Exception:  # noqa: BLE001 - a type that only its own dialect can write
        return type(type_).__name__


__all__ = ["Field", "Misfit", "checksum"]
