"""Lists over HTTP: filters, sorts and pages by allow-list, checked and shown in OpenAPI.

::

    Users = Annotated[
        Listing[User],
        listing(User, filters=[User.email, (User.name, "contains")], sorts=[User.name, User.created_at]),
    ]

    @app.get("/users")
    async def list_users(users: Users, session: ReaderDep) -> Page[UserRead]:
        return await users.page(session)

    # GET /users?name__contains=ada&sort=-created_at&limit=20&cursor=…

What is not declared does not exist: an unknown parameter, filter, operator or sort is a 422, and so is a value
that the column's type cannot hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from fastapi import Depends, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    create_model,
)
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Numeric,
    Select,
    SmallInteger,
    String,
    Time,
    Uuid,
    select,
)
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.types import TypeDecorator

from sqlawait.cursors import MAX_LENGTH
from sqlawait.exceptions import ConfigurationError
from sqlawait.paging import MAX_OFFSET, OffsetPage, Page
from sqlawait.session import AsyncSession

T = TypeVar("T")

Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "contains", "startswith", "null"]
Filter = QueryableAttribute[Any] | tuple[QueryableAttribute[Any], *tuple[Operator, ...]]

MAX_IN = 1_000
"""Values in one ``…__in`` filter."""

_MAX_DIGITS = 50
"""Digits in a filter on a number whose column has no precision of its own."""

_MAX_TEXT = 1_000
"""Characters in a filter on text whose column has no length of its own."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What a request asked for: conditions, order, and the place of its page."""

    model: type[T]
    where: tuple[ColumnElement[bool], ...]
    order: tuple[ColumnElement[Any], ...]
    limit: int
    cursor: str | None = None

    def select(self, statement: Select[Any] | None = None) -> Select[Any]:
        """The select of the rows asked for.

        Parameters:
            statement: what to list, where it is not simply the model: ``select(User).options(…)``, or with a
                condition of your own (``where(User.tenant_id == tenant)``).
        """
        return _listed(self, statement)

    async def page(self, session: AsyncSession, statement: Select[Any] | None = None) -> Page[T]:
        """The page asked for, by cursor; ``statement`` as in :meth:`select`."""
        return await session.page(self.select(statement), limit=self.limit, cursor=self.cursor)


@dataclass(frozen=True, slots=True)
class OffsetListing(Generic[T]):
    """What a request asked for, its page by offset."""

    model: type[T]
    where: tuple[ColumnElement[bool], ...]
    order: tuple[ColumnElement[Any], ...]
    limit: int
    offset: int = 0
    total: bool = False

    def select(self, statement: Select[Any] | None = None) -> Select[Any]:
        """The select of the rows asked for, as :meth:`Listing.select`."""
        return _listed(self, statement)

    async def page(self, session: AsyncSession, statement: Select[Any] | None = None) -> OffsetPage[T]:
        """The page asked for; ``statement`` as in :meth:`select`."""
        return await session.offset_page(
            self.select(statement), limit=self.limit, offset=self.offset, total=self.total
        )


def listing(
    model: type[Any],
    *,
    filters: Sequence[Filter] = (),
    sorts: Sequence[QueryableAttribute[Any]] = (),
    limit: int = 20,
    max_limit: int = 100,
) -> Any:
    """A dependency that reads filters, sort and page from the query: for ``Annotated[Listing[Model], …]``.

    Parameters:
        model: what is listed.
        filters: attributes that may be filtered by: one alone by equality (``?email=…``), one with operators by
            those (``(User.age, "ge", "lt")``: ``?age__ge=18``). ``in`` takes a repeated parameter, ``null`` a
            boolean, ``contains`` and ``startswith`` take text as it is, ``%`` and ``_`` included.
        sorts: attributes that may be sorted by: ``?sort=name``, ``?sort=-name``, repeated for more. The primary
            key comes after them, and is the order where the request names none.
        limit: rows on a page where the request does not say.
        max_limit: rows on a page at most.

    Raises:
        ConfigurationError: a filter cannot be: its operator does not suit the column, or its name is taken.
    """
    return _dependency(Listing, model, filters, sorts, _keyset_fields(limit, max_limit))


def offset_listing(
    model: type[Any],
    *,
    filters: Sequence[Filter] = (),
    sorts: Sequence[QueryableAttribute[Any]] = (),
    limit: int = 20,
    max_limit: int = 100,
) -> Any:
    """As :func:`listing`, with ``?offset=…&total=true``: for ``Annotated[OffsetListing[Model], …]``."""
    return _dependency(OffsetListing, model, filters, sorts, _offset_fields(limit, max_limit))


def _listed(asked: Listing[Any] | OffsetListing[Any], statement: Select[Any] | None) -> Select[Any]:
    rows = select(asked.model) if statement is None else statement
    return rows.where(*asked.where).order_by(*asked.order)


def _dependency(
    kind: type[Any],
    model: type[Any],
    filters: Sequence[Filter],
    sorts: Sequence[QueryableAttribute[Any]],
    page: dict[str, Any],
) -> Any:
    conditions = _conditions(filters)
    orders = {attribute.key: attribute for attribute in sorts}
    fields: dict[str, Any] = {
        # the parameter's name is an alias: as a field's it could hide one of BaseModel's
        f"filter_{number}": (condition.type | None, Field(default=None, alias=name))
        for number, (name, condition) in enumerate(conditions.items())
    }
    if orders:
        names = tuple(sign + name for name in orders for sign in ("", "-"))
        about = "By what to sort, a minus for descending; several in their order."
        sort: Any = Field(default=[], max_length=len(orders), description=about)
        fields["sort"] = (list[Literal[names]], sort)  # type: ignore[valid-type] # for Pydantic, which reads it now
    if taken := conditions.keys() & {*page, "sort"}:
        raise ConfigurationError(
            f"{', '.join(sorted(taken))} is a parameter of the page; leave that filter out"
        )
    query: type[BaseModel] = create_model(
        f"{model.__name__}{kind.__name__}", __config__=ConfigDict(extra="forbid"), **fields, **page
    )

    def asked(parameters: Any) -> Any:
        where = [
            condition.apply(value)
            for number, condition in enumerate(conditions.values())
            if (value := getattr(parameters, f"filter_{number}")) is not None
        ]
        order = [
            orders[name[1:]].desc() if name[0] == "-" else orders[name].asc()
            for name in getattr(parameters, "sort", ())
        ]
        place = {name: getattr(parameters, name) for name in page}
        return kind(model=model, where=tuple(where), order=tuple(order), **place)

    asked.__annotations__["parameters"] = Annotated[query, Query()]
    return Depends(asked)


def _keyset_fields(limit: int, max_limit: int) -> dict[str, Any]:
    about = "The next or previous of another page; leave it out for the first."
    cursor = Field(default=None, max_length=MAX_LENGTH, description=about)
    return {"limit": (int, _limit(limit, max_limit)), "cursor": (str | None, cursor)}


def _offset_fields(limit: int, max_limit: int) -> dict[str, Any]:
    return {
        "limit": (int, _limit(limit, max_limit)),
        "offset": (int, Field(default=0, ge=0, le=MAX_OFFSET, description="How many rows to leave out.")),
        "total": (bool, Field(default=False, description="Count all rows too.")),
    }


def _limit(limit: int, max_limit: int) -> Any:
    if not 1 <= limit <= max_limit:
        raise ConfigurationError(f"limit={limit} must lie between 1 and max_limit={max_limit}")
    return Field(default=limit, ge=1, le=max_limit, description="How many rows at most.")


@dataclass(frozen=True, slots=True)
class _Condition:
    type: Any
    """Of the parameter."""
    apply: Callable[[Any], ColumnElement[bool]]


def _conditions(filters: Sequence[Filter]) -> dict[str, _Condition]:
    conditions: dict[str, _Condition] = {}
    for given in filters:
        attribute, *names = given if isinstance(given, tuple) else (given, "eq")
        for name in names:
            parameter = attribute.key if name == "eq" else f"{attribute.key}__{name}"
            if parameter in conditions:
                raise ConfigurationError(f"the filter {parameter} is declared twice; leave one out")
            conditions[parameter] = _condition(attribute, name)
    return conditions


def _condition(attribute: QueryableAttribute[Any], name: Operator) -> _Condition:
    if name == "null":
        return _Condition(bool, lambda given: attribute.is_(None) if given else attribute.is_not(None))
    value = _parameter_type(attribute)
    if name == "in":
        several = list[value]  # type: ignore[valid-type] # for Pydantic, which reads it now
        return _Condition(Annotated[several, Field(max_length=MAX_IN)], attribute.in_)
    if name in {"contains", "startswith"}:
        if get_args(value)[:1] != (str,):
            raise ConfigurationError(f"{attribute} is not text; leave out its filter {name!r}")
        match = getattr(attribute, name)
        return _Condition(value, lambda given: match(given, autoescape=True))
    if name not in _COMPARE:
        raise ConfigurationError(
            f"{name!r} is no filter's operator; use one of: {', '.join(get_args(Operator))}"
        )
    compare = _COMPARE[name]
    return _Condition(value, lambda given: compare(attribute, given))


_COMPARE: dict[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _parameter_type(attribute: QueryableAttribute[Any]) -> Any:
    """The type of a query parameter whose every value the column's driver takes."""
    type_ = attribute.type
    while isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    match type_:
        case Enum():
            return type_.enum_class or Literal[tuple(type_.enums)]
        case String():
            return Annotated[str, Field(max_length=type_.length or _MAX_TEXT), AfterValidator(_text)]
        case Integer():
            bits = 15 if isinstance(type_, SmallInteger) else 63 if isinstance(type_, BigInteger) else 31
            return Annotated[int, Field(ge=-(2**bits), lt=2**bits)]
        case Float():
            return Annotated[float, Field(allow_inf_nan=False)]
        case Numeric():
            return Annotated[Decimal, Field(allow_inf_nan=False, max_digits=type_.precision or _MAX_DIGITS)]
        case DateTime():
            return Annotated[AwareDatetime, AfterValidator(_utc)] if type_.timezone else NaiveDatetime
        case Boolean() | Date() | Time() | Uuid():
            return type_.python_type
    raise ConfigurationError(
        f"{attribute} is a {type_!r}, which no query parameter can hold; leave that filter out"
    )


def _text(value: str) -> str:
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("text may not hold NUL or lone surrogates")
    return value


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)  # SQLite and MySQL store no zone
    except OverflowError:
        raise ValueError("the time lies outside of the years 1 to 9999") from None


__all__ = ["MAX_IN", "Listing", "OffsetListing", "listing", "offset_listing"]
