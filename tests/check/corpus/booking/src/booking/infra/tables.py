from __future__ import annotations

from datetime import date

from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from booking.infra.database import Base

room_amenity = Table(
    "room_amenity",
    Base.metadata,
    Column("room_id", ForeignKey("room.id"), primary_key=True),
    Column("amenity_id", ForeignKey("amenity.id"), primary_key=True),
)


class WithHotel:
    hotel_id = Column(Integer, ForeignKey("hotel.id"))


class Hotel(Base):
    __tablename__ = "hotel"

    id = Column(Integer, primary_key=True)
    name = Column(String(100))
    rooms = relationship("Room", backref="hotel")
    manager_id = Column(Integer, ForeignKey("person.id"))
    manager = relationship("Person", lazy="joined")


class Room(WithHotel, Base):
    __tablename__ = "room"

    id = Column(Integer, primary_key=True)
    number = Column(String(10))
    price = Column(Integer)
    stays: Mapped[list[Stay]] = relationship(back_populates="room")
    amenities = relationship("Amenity", secondary=room_amenity, lazy="selectin")


class Amenity(Base):
    __tablename__ = "amenity"

    id = Column(Integer, primary_key=True)
    name = Column(String(40))


class Person(Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    stays: Mapped[list[Stay]] = relationship(back_populates="guest")

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Guest(Person):
    """Inherits its relationships."""

    __mapper_args__ = {"polymorphic_identity": "guest"}


class Stay(Base):
    __tablename__ = "stay"

    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("room.id"))
    guest_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    first: Mapped[date]
    last: Mapped[date]
    status: Mapped[str] = mapped_column(default="booked")

    room: Mapped[Room] = relationship(back_populates="stays")
    guest: Mapped[Person] = relationship(back_populates="stays", lazy="selectin")
