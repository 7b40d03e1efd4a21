"""The order in which tables are copied."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import TopologicalSorter

from sqlalchemy import Table


def groups(tables: Sequence[Table]) -> list[list[Table]]:
    """Tables, those first that others refer to; what refers to each other in a circle stands together."""
    wanted = {table.key for table in tables}
    by_key = {table.key: table for table in tables}
    refers = {
        table.key: {key.column.table.key for key in table.foreign_keys} & wanted - {table.key}
        for table in tables
    }
    reached = {key: _reach(key, refers) for key in by_key}
    group_of = {
        key: frozenset({key} | {other for other in reached[key] if key in reached[other]}) for key in by_key
    }
    order: TopologicalSorter[frozenset[str]] = TopologicalSorter()
    for key in sorted(by_key):
        order.add(
            group_of[key], *sorted({group_of[other] for other in refers[key]} - {group_of[key]}, key=sorted)
        )
    return [[by_key[key] for key in sorted(group)] for group in order.static_order()]


def is_circle(group: Sequence[Table]) -> bool:
    """Whether rows of the group may refer to rows that come later."""
    return len(group) > 1 or any(key.column.table is group[0] for key in group[0].foreign_keys)


def _reach(start: str, refers: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for other in refers[todo.pop()] - seen:
            seen.add(other)
            todo.append(other)
    return seen


__all__ = ["groups", "is_circle"]
