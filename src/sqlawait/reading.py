"""The verbs that read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Executable, Result, ScalarResult, Select, func, select
from sqlalchemy.exc import MultipleResultsFound

from sqlawait.backends import Backend, backend_of
from sqlawait.exceptions import NotFound
from sqlawait.mapped import attribute_of, mapper_of
from sqlawait.paging import OffsetPage, Page, keyset
from sqlawait.paging import offset as offset_query
from sqlawait.parallel import ParallelReads

T = TypeVar("T")


class ReadingVerbs(ParallelReads):
    """What a session reads in one call.

    The types are those of SQLAlchemy 2.1, where ``select(User)`` is a ``Select[User]``.
    """

    async def find(self, model: type[T], /, *where: ColumnElement[bool], **equals: Any) -> T | None:
        """The one row of ``model`` that matches, or None.

        Parameters:
            model: a mapped class.
            where: conditions, for what equality cannot say.
            equals: attributes by name and the values they must have.

        Raises:
            sqlalchemy.exc.MultipleResultsFound: several rows match; use :meth:`first` or :meth:`find_all`.
        """
        statement = _matching(model, where, equals).limit(2)
        return _values(await self.execute(statement)).one_or_none()

    async def find_all(self, model: type[T], /, *where: ColumnElement[bool], **equals: Any) -> list[T]:
        """All rows of ``model`` that match, in primary-key order."""
        return await self.all(_matching(model, where, equals).order_by(*mapper_of(model).primary_key))

    async def first(self, statement: Select[T]) -> T | None:
        """The first row's object or value, or None; the statement is sent with LIMIT 1."""
        return _values(await self.execute(statement.limit(1))).first()

    async def one(self, statement: Select[T]) -> T:
        """The only row's object or value.

        Raises:
            NotFound: there is none.
            sqlalchemy.exc.MultipleResultsFound: there are several.
        """
        found = _values(await self.execute(statement.limit(2))).all()
        if not found:
            raise NotFound(_subject(statement))
        if len(found) > 1:
            raise MultipleResultsFound(f"several rows match {_subject(statement)}; use first() or all()")
        return found[0]

    async def all(self, statement: Select[T]) -> list[T]:
        """Every row's object or value."""
        return list(_values(await self.execute(statement)))

    async def count(
        self, source: type[Any] | Select[Any], /, *where: ColumnElement[bool], **equals: Any
    ) -> int:
        """How many rows of a model match, or how many rows a select has (its limit and offset included)."""
        rows = _rows(source, where, equals)
        return (await self.execute(select(func.count()).select_from(rows.subquery()))).scalar_one()

    async def exists(
        self, source: type[Any] | Select[Any], /, *where: ColumnElement[bool], **equals: Any
    ) -> bool:
        """Whether any row of a model matches, or a select has any row."""
        return bool((await self.execute(select(_rows(source, where, equals).exists()))).scalar_one())

    async def page(self, statement: Select[T], *, limit: int, cursor: str | None = None) -> Page[T]:
        """One keyset page of a select, in its order.

        Parameters:
            statement: the select, with its ORDER BY; see :func:`sqlawait.paging.keyset` for what can be paged.
            limit: how many rows at most.
            cursor: ``next`` or ``previous`` of another page of the same select; None is the first page.

        Raises:
            InvalidCursor: the cursor was changed, or made for another query.
            ConfigurationError: the select cannot be paged; the message says why.

        Example::

            page = await session.page(select(User).order_by(User.name), limit=20)
            more = await session.page(select(User).order_by(User.name), limit=20, cursor=page.next)
        """
        query = keyset(statement, dialect=self._backend.name, limit=limit, cursor=cursor)
        return query.page((await self.execute(query.statement)).unique().all())

    async def offset_page(
        self, statement: Select[T], *, limit: int, offset: int = 0, total: bool = False
    ) -> OffsetPage[T]:
        """One page of a select by its offset, which costs what all the rows before it cost.

        Parameters:
            statement: the select, with its ORDER BY.
            limit: how many rows at most.
            offset: how many rows to leave out, at most :data:`sqlawait.paging.MAX_OFFSET`.
            total: also count all rows, in a second statement.

        Raises:
            InvalidRequest: the offset is negative or too far in.
        """
        query = offset_query(statement, dialect=self._backend.name, limit=limit, offset=offset)
        rows = (await self.execute(query.statement)).unique().all()
        return query.page(rows, (await self.execute(query.count)).scalar_one() if total else None)

    async def exec(self, statement: Executable, **options: Any) -> Result[Any] | ScalarResult[Any]:
        """Execute as SQLModel's session does: a select of one thing gives its values, any other gives rows."""
        result = await self.execute(statement, **options)
        if isinstance(statement, Select) and len(statement.column_descriptions) == 1:
            return result.scalars()
        return result

    # --

    @property
    def _backend(self) -> Backend:
        return backend_of(self.get_bind().dialect)


def _values(result: Result[T]) -> ScalarResult[T]:
    """Each row's first value; of objects whose collections were loaded by a join, each once.

    SQLAlchemy insists on ``unique()`` for those and only those, and keeps to itself that it does. To call it
    always would drop values that happen to be equal.
    """
    return (result.unique() if result._unique_filter_state is not None else result).scalars()


def _matching(model: type[T], where: Sequence[ColumnElement[bool]], equals: dict[str, Any]) -> Select[T]:
    return select(model).where(*where, *_equalities(model, equals))


def _rows(
    source: type[Any] | Select[Any], where: Sequence[ColumnElement[bool]], equals: dict[str, Any]
) -> Select[Any]:
    if isinstance(source, Select):
        return source.where(*where).filter_by(**equals)
    return (
        select(*mapper_of(source).primary_key).select_from(source).where(*where, *_equalities(source, equals))
    )


def _equalities(model: type[Any], equals: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [getattr(model, attribute_of(model, name)) == value for name, value in equals.items()]


def _subject(statement: Select[Any]) -> str:
    entity = statement.column_descriptions[0].get("entity")
    return f"the {entity.__name__} asked for" if entity is not None else "the row asked for"


__all__ = ["ReadingVerbs"]
