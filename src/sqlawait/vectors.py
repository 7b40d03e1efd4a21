"""Nearest neighbours: pgvector on PostgreSQL, sqlite-vec on SQLite.

::

    class Document(Base):
        __tablename__ = "documents"
        id: Mapped[int] = mapped_column(primary_key=True)
        embedding: Mapped[list[float]] = mapped_column(Vector(384))

    hnsw_index(Document.embedding)

    rows = await session.execute(nearest(Document.embedding, vector, 10))
    for document, distance in rows:
        ...

On PostgreSQL the extension is created before the first table that has such a column (by ``create_all`` and by a
migration's ``op.create_table`` alike), which needs a role that may create it. On SQLite every vector is looked
at: exact, and linear in their number. MySQL stores vectors, and cannot search them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from sqlalchemy import (
    DDL,
    Column,
    Dialect,
    Float,
    Index,
    LargeBinary,
    Select,
    Table,
    bindparam,
    event,
    inspect,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from sqlawait.exceptions import ConfigurationError, InvalidRequest, InvalidVector, Unsupported

Metric = Literal["cosine", "l2", "inner_product"]

MAX_DIMENSIONS = 16_000
"""pgvector's limit for a stored vector."""

MAX_INDEXED = 2_000
"""pgvector's limit for an HNSW index on a vector."""

MAX_K = 1_000
"""Neighbours in one answer."""

_LARGEST = 3.4028234663852886e38  # of a 32-bit float


class Vector(TypeDecorator[Sequence[float]]):
    """A column of vectors: 32-bit floats, all of one dimension.

    Parameters:
        dim: how many numbers, 1 to 16,000.
        metric: what the distance of two vectors is. ``cosine``: by their angle, 0 to 2. ``l2``: the length of
            the line between them. ``inner_product``: its negative, so that less is nearer here too.

    A value of another dimension, with NaN or an infinity, or all zeros under ``cosine`` raises
    :class:`InvalidVector` before it reaches the database.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, dim: int, metric: Metric = "cosine") -> None:
        if not 1 <= dim <= MAX_DIMENSIONS:
            raise ConfigurationError(f"Vector({dim}) is not possible; give 1 to {MAX_DIMENSIONS:,} dimensions")
        if metric not in _DISTANCES:
            raise ConfigurationError(f"{metric!r} is no metric; use one of: {', '.join(_DISTANCES)}")
        super().__init__()
        self.dim = dim
        self.metric: Metric = metric

    def __repr__(self) -> str:
        # Alembic writes this into migrations; a TypeDecorator would show its impl's parameters
        return f"Vector(dim={self.dim}, metric={self.metric!r})"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """``vector(dim)`` on PostgreSQL, bytes elsewhere."""
        if dialect.name == "postgresql":
            from pgvector.sqlalchemy import VECTOR

            return dialect.type_descriptor(VECTOR(self.dim))
        return dialect.type_descriptor(LargeBinary())

    def process_bind_param(self, value: Sequence[float] | None, dialect: Dialect) -> Any:
        """The checked vector in the database's form."""
        if value is None:
            return None
        checked = self.check(value)
        return checked if dialect.name == "postgresql" else struct.pack(f"<{self.dim}f", *checked)

    def process_result_value(self, value: Any, dialect: Dialect) -> list[float] | None:
        """A list of floats."""
        if value is None:
            return None
        return [float(number) for number in value] if dialect.name == "postgresql" else _unpack(value)

    def check(self, value: Sequence[float]) -> list[float]:
        """The vector as floats.

        Raises:
            InvalidVector: it has another dimension, a number that is none, or no direction.
        """
        try:
            numbers = [float(number) for number in value]
        except (TypeError, ValueError, OverflowError):
            raise InvalidVector("it is not a list of numbers") from None
        if len(numbers) != self.dim:
            raise InvalidVector(f"it has {len(numbers)} dimensions and the column {self.dim}")
        if not all(abs(number) <= _LARGEST for number in numbers):  # false for NaN too
            raise InvalidVector("it holds NaN, an infinity, or a number beyond a 32-bit float")
        if self.metric == "cosine" and not math.hypot(*_unpack(struct.pack(f"<{self.dim}f", *numbers))):
            raise InvalidVector("it is all zeros, which has no direction to compare")
        return numbers


class _Distance(FunctionElement[float]):
    """How far two vectors are from each other: less is nearer."""

    type = Float()
    inherit_cache = True
    operator: ClassVar[str]
    """pgvector's."""
    operator_class: ClassVar[str]
    function: ClassVar[str]
    """SQLite's."""


class _Cosine(_Distance):
    name = "cosine_distance"
    inherit_cache = True
    operator, operator_class, function = "<=>", "vector_cosine_ops", "vec_distance_cosine"


class _L2(_Distance):
    name = "l2_distance"
    inherit_cache = True
    operator, operator_class, function = "<->", "vector_l2_ops", "vec_distance_l2"


class _InnerProduct(_Distance):
    name = "inner_product_distance"
    inherit_cache = True
    operator, operator_class, function = "<#>", "vector_ip_ops", "-vec_inner_product"


_DISTANCES: dict[str, type[_Distance]] = {"cosine": _Cosine, "l2": _L2, "inner_product": _InnerProduct}


@compiles(_Distance)
def _refuse(element: _Distance, compiler: SQLCompiler, **_: Any) -> str:
    del element
    raise Unsupported(
        "a search for nearest vectors",
        {"mysql": "MySQL", "mariadb": "MariaDB"}.get(compiler.dialect.name, compiler.dialect.name),
        "use PostgreSQL with pgvector, or SQLite",
    )


@compiles(_Distance, "postgresql")
def _postgresql(element: _Distance, compiler: SQLCompiler, **options: Any) -> str:
    left, right = (compiler.process(side, **options) for side in element.clauses)
    return f"({left} {element.operator} {right})"


@compiles(_Distance, "sqlite")
def _sqlite(element: _Distance, compiler: SQLCompiler, **options: Any) -> str:
    return f"{element.function}({compiler.process(element.clauses, **options)})"


def nearest(column: QueryableAttribute[Any], vector: Sequence[float], k: int = 10) -> Select[Any, float]:
    """A select of the ``k`` rows whose vectors are nearest, nearest first.

    Parameters:
        column: the attribute of type :class:`Vector`, which also says the metric.
        vector: what to look for.
        k: how many rows, 1 to 1,000.

    Returns:
        A select of pairs: the object, and its ``distance``. It takes ``where`` and ``options`` like any other.

    Raises:
        InvalidVector: the vector does not fit the column.
        InvalidRequest: ``k`` is out of bounds.
        Unsupported: (when executed) the database cannot search vectors.
    """
    type_ = _vector_type(column)
    if not 1 <= k <= MAX_K:
        raise InvalidRequest(f"k={k} is not possible; ask for 1 to {MAX_K:,} neighbours")
    target = bindparam(None, type_.check(vector), type_=type_)
    distance = _DISTANCES[type_.metric](column, target).label("distance")
    entity = inspect(column).parent.entity
    # by the label's expression, not its name: that is what the index answers
    return select(entity, distance).where(column.is_not(None)).order_by(distance.element).limit(k)


def hnsw_index(
    column: QueryableAttribute[Any], *, name: str | None = None, m: int = 16, ef_construction: int = 64
) -> Index:
    """An HNSW index for :func:`nearest`, on PostgreSQL.

    Call it after the class; ``create_all`` and autogenerate find it on the table. ``create_all`` leaves it
    out on other databases; in a migration that runs on several, put its ``op.create_index`` under
    ``if op.get_bind().dialect.name == "postgresql"``.

    Parameters:
        column: the attribute of type :class:`Vector`, of at most 2,000 dimensions.
        name: of the index; default ``ix_<table>_<column>``.
        m: neighbours that each vector is connected with.
        ef_construction: candidates that are looked at for them. More of either finds more and builds slower.

    Raises:
        ConfigurationError: it is no vector column, or has too many dimensions.
    """
    type_ = _vector_type(column)
    if type_.dim > MAX_INDEXED:
        raise ConfigurationError(
            f"{column} has {type_.dim:,} dimensions, an HNSW index takes {MAX_INDEXED:,}; search without"
        )
    stored: Column[Any] = inspect(column).property.columns[0]
    index = Index(
        name or f"ix_{stored.table.name}_{stored.name}",
        stored,
        postgresql_using="hnsw",
        postgresql_ops={stored.key: _DISTANCES[type_.metric].operator_class},
        postgresql_with={"m": m, "ef_construction": ef_construction},
    )
    index.ddl_if(dialect="postgresql")
    return index


def _vector_type(column: QueryableAttribute[Any]) -> Vector:
    type_ = column.type
    if not isinstance(type_, Vector):
        raise ConfigurationError(f"{column} is not a column of type Vector")
    return type_


def _unpack(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


_create_extension = DDL("CREATE EXTENSION IF NOT EXISTS vector").execute_if(  # type: ignore[no-untyped-call] # SQLAlchemy's
    dialect="postgresql"
)


@event.listens_for(Vector, "after_parent_attach")
def _need_extension(type_: Vector, column: Column[Any]) -> None:
    """Have the extension created before any table with such a column."""
    del type_

    @event.listens_for(column, "after_parent_attach")
    def attached(_: Column[Any], table: Table) -> None:
        if not event.contains(table, "before_create", _create_extension):
            event.listen(table, "before_create", _create_extension)


__all__ = ["MAX_DIMENSIONS", "MAX_INDEXED", "MAX_K", "Metric", "Vector", "hnsw_index", "nearest"]
