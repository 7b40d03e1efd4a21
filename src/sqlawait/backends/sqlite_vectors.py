"""The distances between vectors, as functions of a SQLite connection."""

from __future__ import annotations

import math
import sqlite3
from operator import mul
from typing import Any

import sqlite_vec


def load_sqlite_vec(raw: sqlite3.Connection) -> None:
    """Give a connection ``vec_distance_l2``, ``vec_distance_cosine`` and ``vec_inner_product``.

    The first two are those of the sqlite-vec extension. Where Python was built without loadable extensions (a
    default of some builds), or the extension does not load, they are Python functions that give the same.
    """
    raw.create_function("vec_inner_product", 2, _inner_product, deterministic=True)
    try:
        raw.enable_load_extension(True)
    except (AttributeError, sqlite3.Error):
        _define(raw)
        return
    try:
        sqlite_vec.load(raw)
    except sqlite3.Error:  # no binary for this platform
        _define(raw)
    finally:
        raw.enable_load_extension(False)


def _define(raw: sqlite3.Connection) -> None:
    raw.create_function("vec_distance_l2", 2, _l2, deterministic=True)
    raw.create_function("vec_distance_cosine", 2, _cosine, deterministic=True)


def _floats(blob: bytes) -> Any:
    return memoryview(blob).cast("f")


def _l2(one: bytes | None, other: bytes | None) -> float | None:
    return None if one is None or other is None else math.dist(_floats(one), _floats(other))


def _cosine(one: bytes | None, other: bytes | None) -> float | None:
    if one is None or other is None:
        return None
    left, right = _floats(one), _floats(other)
    lengths = math.hypot(*left) * math.hypot(*right)
    return 1 - _dot(left, right) / lengths if lengths else None


def _inner_product(one: bytes | None, other: bytes | None) -> float | None:
    return None if one is None or other is None else _dot(_floats(one), _floats(other))


def _dot(left: Any, right: Any) -> float:
    if len(left) != len(right):
        raise ValueError(f"vectors of {len(left)} and {len(right)} dimensions have no distance")
    return math.fsum(map(mul, left, right))


__all__ = ["load_sqlite_vec"]
