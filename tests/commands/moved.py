"""Models with everything that a copy has to carry: ``--models moved:Base``."""

from __future__ import annotations

import enum
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Text,
    Time,
    Uuid,
)
from sqlalchemy.dialects.mysql import DATETIME, LONGBLOB, LONGTEXT
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlawait.service.columns import Instant, Money
from sqlawait.vectors import Vector


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(Base):
    """Refers to itself, to later rows as well as to earlier ones."""

    __tablename__ = "nodes"

    id: Mapped[int] = mapped_column(primary_key=True)
    next_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))


class Team(Base):
    """Teams and players refer to each other, and both have to."""

    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    captain_id: Mapped[int] = mapped_column(ForeignKey("players.id", name="captain", use_alter=True))


class Player(Base):
    __tablename__ = "players"

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


class Everything(Base):
    __tablename__ = "everything"
    __table_args__ = (CheckConstraint("small < 1000", name="small_enough"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    small: Mapped[int | None] = mapped_column(SmallInteger)
    whole: Mapped[int | None] = mapped_column(Integer)
    big: Mapped[int | None] = mapped_column(BigInteger)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    money: Mapped[Decimal | None] = mapped_column(Money)
    ratio: Mapped[float | None] = mapped_column(Float(53))
    yes: Mapped[bool | None]
    name: Mapped[str | None] = mapped_column(String(20))
    text: Mapped[str | None] = mapped_column(Text().with_variant(LONGTEXT(), "mysql", "mariadb"))
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    day: Mapped[date | None]
    clock: Mapped[time | None] = mapped_column(Time())
    moment: Mapped[datetime | None] = mapped_column(
        DateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")
    )
    zoned: Mapped[datetime | None] = mapped_column(
        DateTime(timezone=True).with_variant(DATETIME(fsp=6), "mysql", "mariadb")
    )
    instant: Mapped[datetime | None] = mapped_column(Instant)
    uuid: Mapped[UUID | None] = mapped_column(Uuid)
    raw: Mapped[bytes | None] = mapped_column(LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"))
    document: Mapped[Any | None] = mapped_column(JSON)
    vector: Mapped[list[float] | None] = mapped_column(Vector(3))


class Pair(Base):
    """A key of two columns, none of them a number."""

    __tablename__ = "pairs"

    one: Mapped[str] = mapped_column(String(20), primary_key=True)
    other: Mapped[str] = mapped_column(String(20), primary_key=True)


class Line(Base):
    """Many rows."""

    __tablename__ = "lines"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
    text: Mapped[str] = mapped_column(String(100))
