from __future__ import annotations

from typing import Any, Generic, Sequence, TypeVar

from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from booking.infra.database import Base
from booking.infra.tables import Guest, Hotel, Room, Stay

M = TypeVar("M", bound=Base)


class Repository(Generic[M]):
    model: type[M]
    options: Sequence[Any] = ()

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def _select(self) -> Select[tuple[M]]:
        return select(self.model).options(*self.options)

    async def find(self, id_: int) -> M | None:
        return (await self._session.execute(self._select().where(self.model.id == id_))).scalar_one_or_none()

    async def find_all(self, *where: Any) -> Sequence[M]:
        return (await self._session.execute(self._select().where(*where))).scalars().all()

    async def count(self) -> int:
        return await self._session.scalar(select(func.count()).select_from(self.model)) or 0

    async def remove(self, id_: int) -> None:
        await self._session.execute(delete(self.model).where(self.model.id == id_))

    def add(self, entity: M) -> M:
        self._session.add(entity)  # ok: SAW202
        return entity

    async def save(self, entity: M) -> M:
        self._session.add(entity)
        await self._session.commit()
        return entity

    async def save_refreshed(self, entity: M) -> M:
        self._session.add(entity)
        await self._session.commit()
        await self._session.refresh(entity)
        return entity


class HotelRepository(Repository[Hotel]):
    model = Hotel

    async def named(self, name: str) -> Hotel | None:
        return await self._session.scalar(select(Hotel).where(Hotel.name == name))


class LoadedHotelRepository(Repository[Hotel]):
    model = Hotel
    options = (selectinload(Hotel.rooms),)


class RoomRepository(Repository[Room]):
    model = Room

    async def with_hotel(self, id_: int) -> Room | None:
        return await self._session.get(Room, id_, options=[joinedload(Room.hotel)])

    async def lock(self, id_: int) -> Room:
        return (await self._session.execute(select(Room).where(Room.id == id_).with_for_update())).scalar_one()

    async def lock_many(self, ids: list[int]) -> Sequence[Room]:
        statement = select(Room).where(Room.id.in_(ids)).order_by(Room.id).with_for_update()
        return (await self._session.scalars(statement)).all()


class StayRepository(Repository[Stay]):
    model = Stay

    async def of_room(self, room_id: int) -> Sequence[Stay]:
        return await self.find_all(Stay.room_id == room_id)


class GuestRepository(Repository[Guest]):
    model = Guest
