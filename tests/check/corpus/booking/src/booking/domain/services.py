from __future__ import annotations

import asyncio
from datetime import date

import aioboto3
import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from booking.domain.repositories import GuestRepository, HotelRepository, LoadedHotelRepository, RoomRepository, StayRepository
from booking.infra.tables import Hotel, Room, Stay


class PaymentGateway:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def charge(self, amount: int) -> str:
        response = await self._client.post("/charges", json={"amount": amount})
        return response.json()["id"]


class BookingService:
    """On a session that expires on commit."""

    def __init__(self, session: AsyncSession, payments: PaymentGateway) -> None:
        self.session = session
        self.payments = payments
        self.rooms = RoomRepository(session)
        self.stays = StayRepository(session)
        self.hotels = HotelRepository(session)
        self.guests = GuestRepository(session)

    async def book(self, room_id: int, guest_id: int, first: date, last: date) -> int:
        room = await self.rooms.lock(room_id)
        stay = self.stays.add(Stay(room_id=room.id, guest_id=guest_id, first=first, last=last))
        await self.session.commit()
        return stay.id  # expect: SAW303

    async def book_flushed(self, room_id: int, guest_id: int, first: date, last: date) -> int:
        room = await self.rooms.lock(room_id)
        stay = self.stays.add(Stay(room_id=room.id, guest_id=guest_id, first=first, last=last))
        await self.session.flush()
        stay_id = stay.id  # ok: SAW303
        await self.session.commit()
        return stay_id

    async def book_saved(self, room_id: int, guest_id: int, first: date, last: date) -> str:
        stay = await self.stays.save(Stay(room_id=room_id, guest_id=guest_id, first=first, last=last))
        return f"stay {stay.id}"  # expect: SAW303

    async def book_saved_refreshed(self, room_id: int, guest_id: int, first: date, last: date) -> str:
        stay = await self.stays.save_refreshed(Stay(room_id=room_id, guest_id=guest_id, first=first, last=last))
        return f"stay {stay.id}"  # ok: SAW303

    async def book_and_pay(self, room_id: int, guest_id: int, first: date, last: date) -> None:
        room = await self.rooms.lock(room_id)
        await self.payments.charge(room.price)  # expect: SAW406
        self.stays.add(Stay(room_id=room_id, guest_id=guest_id, first=first, last=last))
        await self.session.commit()

    async def pay_and_book(self, room_id: int, guest_id: int, amount: int, first: date, last: date) -> None:
        await self.payments.charge(amount)  # ok: SAW406
        self.stays.add(Stay(room_id=room_id, guest_id=guest_id, first=first, last=last))
        await self.session.commit()

    async def wait_and_book(self, room_id: int) -> None:
        async with self.session.begin():
            room = await self.rooms.lock(room_id)
            while room.price > 100:
                await asyncio.sleep(5)  # expect: SAW406
                await self.session.refresh(room)
            room.price += 1

    async def upload_contract(self, stay_id: int, data: bytes) -> None:
        stay = await self.stays.find(stay_id)
        async with aioboto3.Session().client("s3") as s3:
            await s3.put_object(Bucket="contracts", Key=str(stay_id), Body=data)  # expect: SAW406
        stay.status = "signed"
        await self.session.commit()

    async def move(self, stay_id: int, room_id: int, other_id: int) -> None:
        old = await self.rooms.lock(room_id)
        new = await self.rooms.lock(other_id)  # expect: SAW410
        stay = await self.stays.find(stay_id)
        stay.room_id = new.id if old.id == stay.room_id else old.id
        await self.session.commit()

    async def move_ordered(self, stay_id: int, room_id: int, other_id: int) -> None:
        low = await self.rooms.lock(min(room_id, other_id))
        high = await self.rooms.lock(max(room_id, other_id))  # ok: SAW410
        stay = await self.stays.find(stay_id)
        stay.room_id = high.id if low.id == stay.room_id else low.id
        await self.session.commit()

    async def close_rooms(self, ids: list[int]) -> None:
        for room_id in ids:
            room = await self.rooms.lock(room_id)  # expect: SAW410, SAW305
            room.price = 0
        await self.session.commit()

    async def close_rooms_ordered(self, ids: list[int]) -> None:
        for room in await self.rooms.lock_many(ids):  # ok: SAW410, SAW305
            room.price = 0
        await self.session.commit()

    async def swap(self, first: int, second: int) -> None:
        one = await self.session.get(Room, first, with_for_update={"nowait": True})
        other = await self.session.get(Room, second, with_for_update={"nowait": True})  # expect: SAW410
        one.price, other.price = other.price, one.price
        await self.session.commit()

    async def lock_room_then_hotel(self, room_id: int, hotel_id: int) -> None:
        room = await self.session.get(Room, room_id, with_for_update=True)
        hotel = await self.session.get(Hotel, hotel_id, with_for_update=True)  # ok: SAW410
        room.hotel_id = hotel.id
        await self.session.commit()

    async def room_numbers(self, hotel_id: int) -> list[str]:
        hotel = await self.hotels.find(hotel_id)
        return [room.number for room in hotel.rooms]  # expect: SAW301

    async def room_numbers_loaded(self, hotel_id: int) -> list[str]:
        hotel = await LoadedHotelRepository(self.session).find(hotel_id)
        return [room.number for room in hotel.rooms]  # ok: SAW301

    async def hotel_name(self, room_id: int) -> str:
        room = await self.rooms.find(room_id)
        return room.hotel.name  # expect: SAW301

    async def hotel_name_loaded(self, room_id: int) -> str:
        room = await self.rooms.with_hotel(room_id)
        return room.hotel.name  # ok: SAW301

    async def manager_name(self, name: str) -> str | None:
        hotel = await self.hotels.named(name)
        return hotel.manager.name if hotel and hotel.manager_id else None  # ok: SAW301

    async def guest_nights(self, guest_id: int) -> int:
        guest = await self.guests.find(guest_id)
        return sum((stay.last - stay.first).days for stay in guest.stays)  # expect: SAW301

    async def guest_names(self, room_id: int) -> list[str]:
        return [stay.guest.name for stay in await self.stays.of_room(room_id)]  # ok: SAW301

    async def amenity_names(self, room_id: int) -> list[str]:
        room = await self.rooms.find(room_id)
        return [amenity.name for amenity in room.amenities]  # ok: SAW301

    async def prices(self, ids: list[int]) -> dict[int, int]:
        return {room_id: (await self.rooms.find(room_id)).price for room_id in ids}  # expect: SAW305

    async def overview(self) -> dict[str, int]:
        hotels, rooms = await asyncio.gather(self.hotels.count(), self.rooms.count())  # expect: SAW401
        return {"hotels": hotels, "rooms": rooms}

    async def overview_serial(self) -> dict[str, int]:
        return {"hotels": await self.hotels.count(), "rooms": await self.rooms.count()}  # ok: SAW401
