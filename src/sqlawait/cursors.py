"""The text form of a place in an ordered result: opaque, checked, and never trusted.

A cursor holds the sort values of one row, the direction, and a digest over both and over the order it was made
for. Without a secret the digest catches what was changed or belongs to another query; with one it is a MAC,
and cursors cannot be made up at all. What comes out is checked against the columns' types in either case.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite, isnan
from typing import Any
from uuid import UUID

from sqlalchemy import Enum as EnumType
from sqlalchemy import Float, Integer, Numeric
from sqlalchemy.types import TypeDecorator, TypeEngine

from .exceptions import ConfigurationError, InvalidCursor, InvalidRequest

MAX_LENGTH = 16_384
"""Characters. Below the 64 KiB of headers that HTTP servers take."""

_DIGEST = 12  # bytes: a chance of 2**-96 that a changed cursor passes


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between rows: just after (or before) the row with these sort values."""

    values: tuple[Any, ...]
    backward: bool = False
    """The page lies before the place, not after it."""
    inclusive: bool = False
    """The row with exactly these values belongs to the page: the way back from an empty page."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the cursors of one query must match: its order, and the type and nullability of each sort value."""

    order: str
    types: tuple[TypeEngine[Any], ...]
    nullable: tuple[bool, ...]
    secret: bytes = b""
    finite: bool = False
    """The database knows no NaN and no infinity."""


def encode(cursor: Cursor, place: Place) -> str:
    """The cursor as text that is safe in a URL.

    Raises:
        ConfigurationError: a sort value is of a type that no cursor can hold.
        InvalidRequest: the sort values are too long; rows with such values cannot be paged by them.
    """
    flags = cursor.backward + 2 * cursor.inclusive
    payload = json.dumps(
        [flags, *map(_pack, cursor.values, place.types)], ensure_ascii=False, separators=(",", ":")
    ).encode()
    text = base64.urlsafe_b64encode(_digest(payload, place) + payload).rstrip(b"=").decode()
    if len(text) > MAX_LENGTH:
        raise InvalidRequest(
            f"the values sorted by make a cursor of {len(text):,} characters, over {MAX_LENGTH:,};"
            " sort by a shorter column"
        )
    return text


def decode(text: str, place: Place) -> Cursor:
    """The cursor that ``text`` stands for.

    Raises:
        InvalidCursor: it was changed, cut, made for another query, or holds values that the columns cannot.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidCursor("it is too long")
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise InvalidCursor("it is not base64") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:  # spare bits, foreign characters
        raise InvalidCursor("it is not base64")
    digest, payload = raw[:_DIGEST], raw[_DIGEST:]
    if not hmac.compare_digest(digest, _digest(payload, place)):
        raise InvalidCursor("it was changed, or made for another query")
    try:
        flags, *packed = json.loads(payload)
        values = tuple(_unpack(item, kind) for item, kind in zip(packed, place.types, strict=True))
        fits = (
            _fits(value, kind, nullable, place.finite)
            for value, kind, nullable in zip(values, place.types, place.nullable, strict=True)
        )
        if flags not in range(4) or not all(fits):
            raise ValueError
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        raise InvalidCursor("its values do not fit the columns sorted by") from None
    return Cursor(values, backward=bool(flags & 1), inclusive=bool(flags & 2))


def _digest(payload: bytes, place: Place) -> bytes:
    order = hashlib.blake2b(place.order.encode(), digest_size=16).digest()
    key = hashlib.blake2b(place.secret).digest() if place.secret else b""
    return hashlib.blake2b(order + payload, digest_size=_DIGEST, key=key, person=b"sqlawait").digest()


_TAGS: tuple[tuple[type[Any], str, Callable[[Any], str], Callable[[str], Any]], ...] = (
    (float, "f", repr, float),
    (Decimal, "n", str, Decimal),
    (datetime, "t", datetime.isoformat, datetime.fromisoformat),  # before date: a datetime is one
    (date, "d", date.isoformat, date.fromisoformat),
    (time, "h", time.isoformat, time.fromisoformat),
    (
        timedelta,
        "i",
        lambda value: str(value // timedelta(microseconds=1)),
        lambda text: timedelta(microseconds=int(text)),
    ),
    (UUID, "u", lambda value: value.hex, UUID),
    (bytes, "b", lambda value: base64.b85encode(value).decode(), base64.b85decode),
)
_PARSERS: dict[str, Callable[[str], Any]] = {tag: parse for _, tag, _, parse in _TAGS}


def _pack(value: Any, type_: TypeEngine[Any]) -> Any:
    if isinstance(type_, Integer) and isinstance(value, Decimal) and value.is_finite() and abs(value) < 2**63:
        value = int(value)  # what a sum() of integers is to some drivers
    if isinstance(value, Enum):
        return {"e": value.name}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    for kind, tag, render, _ in _TAGS:
        if isinstance(value, kind):
            return {tag: render(value)}
    raise ConfigurationError(
        f"a cursor cannot hold a {type(value).__name__}; sort by numbers, text, dates, UUIDs or bytes"
    )


def _unpack(packed: Any, type_: TypeEngine[Any]) -> Any:
    if not isinstance(packed, dict):
        return packed
    ((tag, text),) = packed.items()
    if tag == "e":
        members: Any = type_.enum_class if isinstance(type_, EnumType) else None
        return members[text]
    return _PARSERS[tag](text)


def _fits(value: Any, type_: TypeEngine[Any], nullable: bool, finite: bool) -> bool:
    """Whether a database driver will take the value for this column, without an error of its own."""
    if value is None:
        return nullable
    if isinstance(value, str):
        value.encode()  # a lone surrogate raises
        if "\0" in value:
            return False
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return False
    if isinstance(value, (float, Decimal)) and not _holds(type_, value, finite):
        return False
    if isinstance(type_, EnumType) and isinstance(value, str):
        return value in type_.enums
    if isinstance(type_, TypeDecorator):  # what it takes is its author's business
        return isinstance(value, (bool, int, str, Enum, *(kind for kind, *_ in _TAGS)))
    try:
        expected = type_.python_type
    except NotImplementedError:
        return not isinstance(value, (list, dict))
    if expected in {float, Decimal}:
        return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    narrower: type | None = {int: bool, date: datetime}.get(expected)  # subclasses that no column takes
    return isinstance(value, expected) and not (narrower and isinstance(value, narrower))


def _holds(type_: TypeEngine[Any], value: float | Decimal, finite: bool) -> bool:
    precision = type_.precision if isinstance(type_, Numeric) and not isinstance(type_, Float) else None
    if not isfinite(value):
        return not finite and (precision is None or isnan(value))  # NUMERIC(12, 4) has a NaN, but no infinity
    exponent = Decimal(value).adjusted()
    whole = 131_072 if precision is None else precision - (getattr(type_, "scale", None) or 0)
    return -20_000 < exponent < whole  # the limits of PostgreSQL's NUMERIC


__all__ = ["MAX_LENGTH", "Cursor", "Place", "decode", "encode"]
