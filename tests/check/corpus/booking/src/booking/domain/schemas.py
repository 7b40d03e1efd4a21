from __future__ import annotations

from datetime import date
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class RoomOut(Out):
    id: int
    number: str


class AmenityOut(Out):
    name: str


class RoomWithAmenities(RoomOut):
    amenities: list[AmenityOut]


class HotelOut(Out):
    id: int
    name: str


class HotelWithRooms(HotelOut):
    rooms: list[RoomOut]


class RoomWithHotel(RoomOut):
    hotel: HotelOut


class PersonOut(Out):
    id: int
    name: str


class HotelWithManager(HotelOut):
    manager: PersonOut | None


class StayOut(Out):
    id: int
    first: date
    last: date


class StayWithGuest(StayOut):
    guest: PersonOut


class StayWithRoom(StayOut):
    room: RoomOut


class StayIn(BaseModel):
    room_id: int
    guest_id: int
    first: date
    last: date


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int = Field(ge=0)
