"""Column types that mean the same on PostgreSQL, SQLite and MySQL."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Numeric
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.types import TypeDecorator, TypeEngine


class Cents(TypeDecorator[Decimal]):
    """A Decimal kept as whole cents: the NUMERIC of SQLite is binary floating point, its integers are exact."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Write cents."""
        return None if value is None else int(value.scaleb(2))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Read an amount."""
        return None if value is None else Decimal(value).scaleb(-2)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant kept as the UTC clock's reading: SQLite and MySQL know no time zones."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        """MySQL's DATETIME keeps whole seconds unless told otherwise."""
        return DATETIME(fsp=6) if dialect.name in {"mysql", "mariadb"} else DateTime()

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Write the reading."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read an aware datetime."""
        return None if value is None else value.replace(tzinfo=UTC)


Id = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits; SQLite counts up only an INTEGER primary key, which has 64 bits there."""

Instant = DateTime(timezone=True).with_variant(UtcDateTime(), "sqlite", "mysql", "mariadb")
"""A point in time, aware, to the microsecond."""

Money = Numeric(18, 2).with_variant(Cents(), "sqlite")
"""An exact amount with two decimals."""
