"""Classes of every form that a mapping can have."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Table,
    event,
    func,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship


class Base(DeclarativeBase):
    pass


membership = Table(
    "membership",
    Base.metadata,
    Column("team_id", ForeignKey("team.id"), primary_key=True),
    Column("person_id", ForeignKey("person.id"), primary_key=True),
)


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    hidden: Mapped[bool] = mapped_column(default=False)
    people: Mapped[list[Person]] = relationship(
        secondary=membership, back_populates="teams", order_by="Person.name.desc()"
    )
    seats: Mapped[list[Seat]] = relationship(
        back_populates="team", order_by="Seat.number.desc()", lazy="selectin"
    )


class Person(Base):
    """The root of classes that share a table (Boss) or have their own (Expert)."""

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(50))
    pay: Mapped[float] = mapped_column(Float(53), default=0.0)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    settings: Mapped[Any] = mapped_column(JSON, default=dict)
    boss: Mapped[Person | None] = relationship(remote_side="Person.id", back_populates="reports")
    reports: Mapped[list[Person]] = relationship(back_populates="boss", order_by="Person.id")
    teams: Mapped[list[Team]] = relationship(secondary=membership, back_populates="people", order_by="Team.id")
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - SQLAlchemy's way

    @hybrid_property
    def label(self) -> str:
        return self.name + "!"

    @hybrid_property
    def double(self) -> float:
        return self.pay * 2


class Boss(Person):
    car: Mapped[str | None] = mapped_column(String(50))
    __mapper_args__ = {"polymorphic_identity": "boss"}  # noqa: RUF012 - SQLAlchemy's way


class Expert(Person):
    __tablename__ = "expert"

    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    field: Mapped[str | None] = mapped_column(String(50))
    __mapper_args__ = {"polymorphic_identity": "expert"}  # noqa: RUF012 - SQLAlchemy's way


Team.size = column_property(  # type: ignore[attr-defined]
    select(func.count()).where(membership.c.team_id == Team.id).correlate_except(membership).scalar_subquery()
)


class Seat(Base):
    """A key of two columns."""

    __tablename__ = "seat"

    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"), primary_key=True)
    number: Mapped[int] = mapped_column("no", Integer, primary_key=True, autoincrement=False)
    team: Mapped[Team] = relationship(back_populates="seats")
    stickers: Mapped[list[Sticker]] = relationship(order_by="Sticker.id")


class Sticker(Base):
    """Hangs on a key of two columns."""

    __tablename__ = "sticker"
    __table_args__ = (ForeignKeyConstraint(["team_id", "seat_number"], ["seat.team_id", "seat.no"]),)

    id: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[int]
    seat_number: Mapped[int]
    text: Mapped[str] = mapped_column(String(50))


class Heard(Base):
    """Something is done to each object that is loaded."""

    __tablename__ = "heard"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


@event.listens_for(Heard, "load")
def _shout(heard: Heard, _: object) -> None:
    heard.__dict__["name"] = heard.name.upper()
