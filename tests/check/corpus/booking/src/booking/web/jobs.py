"""What runs beside the requests."""

from __future__ import annotations

import asyncio

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_scoped_session

from booking.infra.database import Keeping, get_db, get_kept
from booking.infra.tables import Hotel, Room, Stay

scoped = async_scoped_session(Keeping.sessions, scopefunc=asyncio.current_task)  # expect: SAW405
job_session = Keeping.sessions()  # expect: SAW405 # also: SAW403


class Cache:
    """One for the process, with its session."""

    def __init__(self) -> None:
        self.session = Keeping.sessions()  # expect: SAW405[cache] # also: SAW403

    async def names(self) -> list[str]:
        return list(await self.session.scalars(select(Hotel.name)))


cache = Cache()  # expect: SAW405[cache]


class Refresher:
    """One for the process, with the factory."""

    def __init__(self, sessions) -> None:
        self.sessions = sessions  # ok: SAW405

    async def names(self) -> list[str]:
        async with self.sessions() as session:  # ok: SAW403
            return list(await session.scalars(select(Hotel.name)))


refresher = Refresher(Keeping.sessions)  # ok: SAW405


async def hotel_names() -> list[str]:
    async for session in get_db():  # expect: SAW404
        return list(await session.scalars(select(Hotel.name)))
    return []


async def room_count(hotel_id: int) -> int:
    async for db in get_kept():  # expect: SAW404
        rooms = (await db.scalars(select(Room).where(Room.hotel_id == hotel_id))).all()
        break
    return len(rooms)


async def close_stays(ids: list[int]) -> None:
    generator = get_kept()
    async for session in generator:  # expect: SAW404
        for stay in await session.scalars(select(Stay).where(Stay.id.in_(ids))):
            stay.status = "closed"
        await session.commit()


async def raise_prices() -> None:
    async for session in get_kept():  # expect: SAW404
        for room in (await session.scalars(select(Room))).all():
            room.price += 1
        await session.commit()


async def room_stream():
    async with Keeping.sessions() as session:
        async for room in await session.stream_scalars(select(Room)):  # ok: SAW404
            yield room


async def watch() -> None:
    async for room in room_stream():  # ok: SAW404
        print(room.number)


async def lines(url: str) -> None:
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        async for line in response.aiter_lines():  # ok: SAW404
            print(line)


async def check_room(room_id: int) -> None:
    async with Keeping.sessions() as session:
        room = await session.get(Room, room_id)
        url = f"https://locks.example/{room.number}"
    async with httpx.AsyncClient() as client:
        await client.get(url)  # ok: SAW406


async def check_all() -> None:
    async with Keeping.sessions() as session:
        numbers = (await session.scalars(select(Room.number))).all()
        await session.commit()
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*[client.get(f"https://locks.example/{number}") for number in numbers])  # ok: SAW406, SAW401


async def check_all_inside() -> None:
    async with Keeping.sessions.begin() as session:
        numbers = (await session.scalars(select(Room.number))).all()
        async with httpx.AsyncClient() as client:
            for number in numbers:
                await client.get(f"https://locks.example/{number}")  # expect: SAW406


def main() -> None:
    asyncio.run(raise_prices())  # ok: SAW106


if __name__ == "__main__":
    main()
