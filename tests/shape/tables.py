"""A table with a column of every kind, with parents, children, tags and itself."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    LargeBinary,
    Numeric,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    Uuid,
    cast,
    literal,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Precise = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
PreciseTime = Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
Double = Float(53).with_variant(mysql.DOUBLE(asdecimal=False), "mysql", "mariadb")
Long = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


class Colour(enum.Enum):
    RED = "red"
    green = "Grün"
    quote = "a\"\\b'"


class Shouted(TypeDecorator[str]):
    """Python has a say in each value."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.upper()


class Base(DeclarativeBase):
    pass


tagging = Table(
    "tagging",
    Base.metadata,
    Column("thing_id", ForeignKey("things.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Owner(Base):
    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    things: Mapped[list[Thing]] = relationship(back_populates="owner", order_by="Thing.rank.desc(), Thing.id")


class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(50))


class Thing(Base):
    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("things.id"))
    rank: Mapped[int] = mapped_column(default=0)

    integer: Mapped[int | None] = mapped_column(BigInteger)
    flag: Mapped[bool | None] = mapped_column(Boolean)
    text: Mapped[str | None] = mapped_column(Long)
    loud: Mapped[str | None] = mapped_column(Shouted)
    number: Mapped[float | None] = mapped_column(Double)
    price: Mapped[Decimal | None] = mapped_column(Numeric(20, 10))
    ratio: Mapped[float | None] = mapped_column(Numeric(12, 4, asdecimal=False))
    moment: Mapped[datetime | None] = mapped_column(Precise)
    day: Mapped[date | None] = mapped_column(Date)
    hour: Mapped[time | None] = mapped_column(PreciseTime)
    key: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    word: Mapped[str | None] = mapped_column(Enum("one", "two", name="word"))
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    document: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))

    owner: Mapped[Owner | None] = relationship(back_populates="things")
    parent: Mapped[Thing | None] = relationship(remote_side="Thing.id", back_populates="children")
    children: Mapped[list[Thing]] = relationship(back_populates="parent", order_by="Thing.id")
    tags: Mapped[list[Tag]] = relationship(secondary=tagging, order_by=(Tag.label, Tag.id))

    @hybrid_property
    def title(self) -> str:
        return f"thing {self.rank}"

    @title.inplace.expression
    @classmethod
    def _title(cls) -> Any:
        return literal("thing ") + cast(cls.rank, String)

    @property
    def shout(self) -> str:
        return (self.text or "").upper()
