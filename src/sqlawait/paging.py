"""Pages: a select in, a select out; rows in, a page out. Nothing here talks to a database.

::

    query = keyset(select(User).order_by(User.name), dialect="postgresql", limit=20, cursor=cursor)
    page = query.page((await session.execute(query.statement)).unique().all())

**Keyset pages** start where the last one ended, by the sort values of its last row: no row is seen twice or
missed because others come and go, and page 10,000 costs what page 1 does. The primary key is added to the
order to break ties. NULL sorts where the database sorts it, unless the order says ``nulls_first()`` or
``nulls_last()``.

**Offset pages** can jump to page 7 and count the total, and are slow and unstable far in: their offset is
capped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    ColumnElement,
    Double,
    Enum,
    Float,
    Integer,
    Numeric,
    Select,
    TypeDecorator,
    UnaryExpression,
    and_,
    cast,
    false,
    func,
    inspect,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import Label
from sqlalchemy.sql.expression import FromClause, Join
from sqlalchemy.sql.schema import Column

from .cursors import MAX_LENGTH, Cursor, Place, decode, encode
from .exceptions import ConfigurationError, InvalidRequest

T = TypeVar("T")

_SQLITE = sqlite.dialect()
_DIALECTS: dict[str, Dialect] = {
    "sqlite": _SQLITE,
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call] # SQLAlchemy left it so
    "mysql": mysql.dialect(),
    "mariadb": mysql.dialect(),
}
_LEFT_AS_IT_IS = TypeDecorator.process_result_value

MAX_OFFSET = 10_000
"""Rows. The database reads and throws away every row before the offset."""


class Page(BaseModel, Generic[T]):
    """Some rows in order, and the cursors of the pages around them (None: there is none)."""

    model_config = ConfigDict(arbitrary_types_allowed=True)  # Page[User] of a mapped class

    items: list[T]
    next: str | None = Field(default=None, max_length=MAX_LENGTH)
    previous: str | None = Field(default=None, max_length=MAX_LENGTH)


class OffsetPage(BaseModel, Generic[T]):
    """Some rows in order, and where they stand."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    items: list[T]
    offset: int
    limit: int
    more: bool
    """Whether rows follow."""
    total: int | None = None
    """How many rows there are in all, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Key:
    """One expression of an ORDER BY, with everything that paging must know of it."""

    expression: ColumnElement[Any]
    descending: bool
    nullable: bool
    nulls_first: bool

    @property
    def reversed(self) -> Key:
        return Key(self.expression, not self.descending, self.nullable, not self.nulls_first)

    def order(self, dialect: str) -> Iterator[ColumnElement[Any]]:
        """The ORDER BY terms."""
        term = self.expression.desc() if self.descending else self.expression.asc()
        if not self.nullable or self.nulls_first == _nulls_first(dialect, self.descending):
            yield term
        elif dialect == "mysql":  # has no NULLS FIRST
            null = self.expression.is_(None)
            yield null.desc() if self.nulls_first else null.asc()
            yield term
        else:
            yield term.nulls_first() if self.nulls_first else term.nulls_last()

    def bind(self, value: Any) -> ColumnElement[Any]:
        return literal(value, self.expression.type)

    def equals(self, value: Any) -> ColumnElement[bool]:
        return self.expression.is_(None) if value is None else self.expression == self.bind(value)

    def beyond(self, value: Any) -> ColumnElement[bool]:
        """The rows that this key alone puts behind one with ``value``."""
        if value is None:
            return self.expression.is_not(None) if self.nulls_first else false()
        compare = operators.lt if self.descending else operators.gt
        behind: ColumnElement[bool] = compare(self.expression, self.bind(value))
        return or_(behind, self.expression.is_(None)) if self.nullable and not self.nulls_first else behind


@dataclass(frozen=True, slots=True)
class Keyset:
    """A page's query: run :attr:`statement`, give its rows to :meth:`page`."""

    select: Select[Any]
    """The rows of the page (one more, to know whether others follow), as the select given."""
    keys: tuple[Label[Any], ...]
    """The sort values that must come with each row, after everything else."""
    limit: int
    cursor: Cursor | None
    place: Place

    @property
    def statement(self) -> Select[Any]:
        """The select with the sort values behind the columns it had."""
        return self.select.add_columns(*self.keys)

    def page(self, rows: Sequence[Any]) -> Page[Any]:
        """The page that the statement's rows make.

        Parameters:
            rows: what was selected, each followed by the sort values. One thing selected is an item as it is,
                more are a named tuple.
        """
        backward = self.cursor is not None and self.cursor.backward
        more, rows = len(rows) > self.limit, rows[: self.limit]
        if backward:
            rows = rows[::-1]
        before, after = (more, True) if backward else (self.cursor is not None, more)
        if not rows:
            return Page.model_construct(items=[], next=self._turn(backward), previous=self._turn(not backward))
        width = len(rows[0]) - len(self.keys)
        return Page.model_construct(
            items=[row[0] for row in rows] if width == 1 else _tuples(rows, width),
            next=self._cut(rows[-1], width, backward=False) if after else None,
            previous=self._cut(rows[0], width, backward=True) if before else None,
        )

    def _cut(self, row: Any, width: int, *, backward: bool) -> str:
        return encode(Cursor(tuple(row[width:]), backward), self.place)

    def _turn(self, wanted: bool) -> str | None:
        """From an empty page, the way back: it holds the very row that the cursor stands at."""
        if self.cursor is None or not wanted:
            return None
        return encode(Cursor(self.cursor.values, not self.cursor.backward, inclusive=True), self.place)


@dataclass(frozen=True, slots=True)
class Offset:
    """A page's query: run :attr:`statement`, and :attr:`count` where the total is wanted."""

    statement: Select[Any]
    count: Select[Any]
    limit: int
    offset: int

    def page(self, rows: Sequence[Any], total: int | None = None) -> OffsetPage[Any]:
        """The page that the statement's rows make; a row of one column is an item as it is."""
        more, rows = len(rows) > self.limit, rows[: self.limit]
        items = [row[0] for row in rows] if rows and len(rows[0]) == 1 else list(rows)
        return OffsetPage.model_construct(
            items=items, offset=self.offset, limit=self.limit, more=more, total=total
        )


def keyset(
    statement: Select[Any], *, dialect: str, limit: int, cursor: str | None = None, secret: bytes = b""
) -> Keyset:
    """The query of one keyset page.

    Parameters:
        statement: a select with its ORDER BY, of entities or of columns of tables that have a primary key.
            A GROUP BY, DISTINCT, LIMIT or OFFSET belongs in a subquery.
        dialect: the database: ``postgresql``, ``sqlite`` or ``mysql``.
        limit: how many rows at most.
        cursor: ``next`` or ``previous`` of another page of the same select; None is the first page.
        secret: signs the cursors, so that a client cannot make one up. The same in all processes.

    Raises:
        InvalidCursor: the cursor was changed, or made for another query.
        ConfigurationError: the select cannot be paged; the message says why.
    """
    dialect = "mysql" if dialect == "mariadb" else dialect
    keys = _keys(statement, dialect)
    place = Place(
        order=";".join(f"{key.expression}|{key.descending:d}{key.nulls_first:d}" for key in keys),
        types=tuple(key.expression.type for key in keys),
        nullable=tuple(key.nullable for key in keys),
        secret=secret,
        finite=dialect == "mysql",
    )
    at = None if cursor is None else decode(cursor, place)
    if at is not None and at.backward:
        keys = tuple(key.reversed for key in keys)
    if at is not None:
        statement = statement.where(_beyond(keys, at.values, dialect, inclusive=at.inclusive))
    order = [term for key in keys for term in key.order(dialect)]
    return Keyset(
        select=statement.order_by(None).order_by(*order).limit(limit + 1),
        keys=tuple(
            _exact(key.expression, dialect).label(f"sqlawait_key_{number}") for number, key in enumerate(keys)
        ),
        limit=limit,
        cursor=at,
        place=place,
    )


def offset(statement: Select[Any], *, dialect: str, limit: int, offset: int = 0) -> Offset:
    """The query of one offset page; the primary key breaks ties, so that the order is the same on every page.

    Raises:
        InvalidRequest: the offset is negative or over :data:`MAX_OFFSET`.
        ConfigurationError: the select cannot be paged; the message says why.
    """
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidRequest(f"an offset goes from 0 to {MAX_OFFSET:,}; narrow the filter, or page by cursor")
    order = [term for key in _keys(statement, dialect) for term in key.order(dialect)]
    plain = statement.order_by(None)
    return Offset(
        statement=plain.order_by(*order).limit(limit + 1).offset(offset),
        count=select(func.count()).select_from(plain.subquery()),
        limit=limit,
        offset=offset,
    )


def _keys(statement: Select[Any], dialect: str) -> tuple[Key, ...]:
    if statement._group_by_clauses or statement._distinct or statement._has_row_limiting_clause:
        raise ConfigurationError(
            "a page sets its own limit, and finds its place by the rows of a table; put the GROUP BY, DISTINCT,"
            " LIMIT or OFFSET into a subquery and page a select from that"
        )
    outer = any(  # then any column can be NULL
        isinstance(element, Join) and (element.isouter or element.full)
        for source in statement.get_final_froms()
        for element in visitors.iterate(source)
    )
    keys = [_key(clause, dialect, outer) for clause in statement._order_by_clauses]
    for column in _primary_key(statement):
        if hash(column) not in {hash(key.expression) for key in keys}:  # the ORM's annotations keep the hash
            # in the direction of the rest: an index on (created_at, id) then serves both ways
            descending = bool(keys) and keys[-1].descending
            keys.append(Key(column, descending, outer, _nulls_first(dialect, descending)))
    return tuple(replace(key, expression=_stored(key.expression, dialect)) for key in keys)


def _key(clause: Any, dialect: str, outer: bool) -> Key:
    descending, nulls_first = False, None
    while True:
        element = getattr(clause, "element", None)
        modifier = clause.modifier if isinstance(clause, UnaryExpression) else None
        if modifier in {operators.desc_op, operators.asc_op}:
            descending = modifier is operators.desc_op
        elif modifier in {operators.nulls_first_op, operators.nulls_last_op}:
            nulls_first = modifier is operators.nulls_first_op
        elif isinstance(clause, Label) or clause.__visit_name__ == "label_reference":
            pass
        elif not isinstance(clause, ColumnElement) or clause.__visit_name__ == "textual_label_reference":
            raise ConfigurationError(
                f"cannot page by {str(clause)!r}, which is text; order by a column or an expression"
            )
        else:
            break
        clause = element
    column: Any = clause
    nullable = outer or not isinstance(column, Column) or bool(column.nullable)
    if dialect == "mysql" and isinstance(column.type, Enum):
        # MySQL sorts an ENUM by its number and compares it by its name; the number does both
        column = column.op("+", return_type=Integer())(literal_column("0"))
    if nulls_first is None:
        nulls_first = _nulls_first(dialect, descending)
    return Key(column, descending, nullable, nulls_first)


def _primary_key(statement: Select[Any]) -> list[ColumnElement[Any]]:
    """The primary keys of all that is selected, which together make each row one of a kind."""
    sources: dict[int, list[Any]] = {}
    for description in statement.column_descriptions:
        entity = description.get("entity")
        if entity is not None:
            mapper = inspect(entity).mapper
            names = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
            sources[id(entity)] = [getattr(entity, name).expression for name in names]
        elif isinstance(table := getattr(description["expr"], "table", None), FromClause):
            sources[id(table)] = list(table.primary_key)
    if not sources or not all(sources.values()):
        raise ConfigurationError(
            "nothing breaks the ties of this select: it selects from something without a primary key; select an"
            " entity, or columns of a table (or subquery) that has one"
        )
    return [column for columns in sources.values() for column in columns]


def _nulls_first(dialect: str, descending: bool) -> bool:
    """Where the database puts NULL: PostgreSQL holds it for the largest value, the others for the smallest."""
    return descending == (dialect == "postgresql")


def _beyond(
    keys: Sequence[Key], values: Sequence[Any], dialect: str, *, inclusive: bool
) -> ColumnElement[bool]:
    """The rows behind the one with these values."""
    uniform = len({key.descending for key in keys}) == 1 and not any(key.nullable for key in keys)
    if uniform and len(keys) > 1 and dialect != "mysql":  # whose planner does not use an index for it
        sides = tuple_(*(key.expression for key in keys)), tuple_(*map(Key.bind, keys, values))
        if keys[0].descending:
            return sides[0] <= sides[1] if inclusive else sides[0] < sides[1]
        return sides[0] >= sides[1] if inclusive else sides[0] > sides[1]
    (key, *others), (value, *rest) = keys, values
    if not others:
        return or_(key.beyond(value), key.equals(value)) if inclusive else key.beyond(value)
    exact = or_(key.beyond(value), and_(key.equals(value), _beyond(others, rest, dialect, inclusive=inclusive)))
    if key.nullable:
        return exact
    # says nothing new, and gives the planner one range to scan
    bound = operators.le if key.descending else operators.ge
    return and_(bound(key.expression, key.bind(value)), exact)


def _stored(expression: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """The expression with the type that is stored: what Python makes of a value need not lead back to it."""
    type_ = expression.type
    if isinstance(type_, TypeDecorator) and type(type_).process_result_value is not _LEFT_AS_IT_IS:
        return type_coerce(expression, type_.load_dialect_impl(_DIALECTS[dialect]))
    return expression


def _exact(expression: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """The value as the database compares it: a cursor must find its very row again."""
    type_ = expression.type
    if dialect == "mysql" and isinstance(type_, Float) and not isinstance(type_, Double):
        return cast(expression, Double())  # MySQL prints a FLOAT with six digits
    if dialect == "sqlite" and isinstance(type_.dialect_impl(_SQLITE), Numeric):  # not a variant that is exact
        return type_coerce(expression, Double())  # where a Numeric is a REAL, and Decimal would round it
    return expression


def _tuples(rows: Sequence[Any], width: int) -> list[Any]:
    make = _named(tuple(rows[0]._fields[:width]))
    return [make(*row[:width]) for row in rows]


@lru_cache(maxsize=256)
def _named(fields: tuple[str, ...]) -> Any:
    from collections import namedtuple

    return namedtuple("Item", fields, rename=True)  # noqa: PYI024 - the names are known only here


__all__ = ["MAX_OFFSET", "Key", "Keyset", "Offset", "OffsetPage", "Page", "keyset", "offset"]
