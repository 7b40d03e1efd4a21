from __future__ import annotations

from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, Request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload

from booking.domain.repositories import HotelRepository, LoadedHotelRepository, RoomRepository, StayRepository
from booking.domain.schemas import (
    HotelOut,
    HotelWithManager,
    HotelWithRooms,
    Page,
    RoomWithAmenities,
    RoomWithHotel,
    StayIn,
    StayOut,
    StayWithGuest,
    StayWithRoom,
)
from booking.domain.services import BookingService, PaymentGateway
from booking.infra.database import CommitOnExit, default_url, get_db, get_kept, get_kept_and_commit, get_kept_early, get_kept_in_block
from booking.infra.tables import Hotel, Room, Stay

router = APIRouter()

Db = Annotated[AsyncSession, Depends(get_db)]
Kept = Annotated[AsyncSession, Depends(get_kept)]


def get_payments(request: Request) -> PaymentGateway:
    return PaymentGateway(request.app.state.http)


def get_service(session: Db, payments: Annotated[PaymentGateway, Depends(get_payments)]) -> BookingService:
    return BookingService(session, payments)


Service = Annotated[BookingService, Depends(get_service)]


@router.post("/stays")
async def book(body: StayIn, service: Service) -> int:
    return await service.book(body.room_id, body.guest_id, body.first, body.last)


@router.post("/stays/model", response_model=StayOut)
async def book_model(body: StayIn, session: Db):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.commit()
    return stay  # expect: SAW303 # also: SAW302


@router.post("/stays/validated")
async def book_validated(body: StayIn, session: Db) -> StayOut:
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.commit()
    return StayOut.model_validate(stay)  # expect: SAW303 # also: SAW302


@router.post("/stays/kept", response_model=StayOut)
async def book_kept(body: StayIn, session: Kept):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.commit()
    return stay  # ok: SAW303


@router.post("/stays/committing", response_model=StayOut)
async def book_committing(body: StayIn, session: AsyncSession = Depends(get_kept_and_commit)):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.flush()
    return stay  # ok: SAW303


@router.post("/stays/in-block", response_model=StayOut)
async def book_in_block(body: StayIn, session: Annotated[AsyncSession, Depends(get_kept_in_block)]):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.flush()
    return stay


@router.post("/stays/early", response_model=StayOut)
async def book_early(body: StayIn, session: AsyncSession = Depends(get_kept_early, scope="function")):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.flush()
    return stay


@router.post("/stays/object", response_model=StayOut)
async def book_by_object(body: StayIn, session: AsyncSession = Depends(CommitOnExit(commit=True))):
    stay = Stay(**body.model_dump())
    session.add(stay)
    await session.flush()
    return stay


@router.get("/hotels/{hotel_id}")
async def hotel(hotel_id: int, session: Kept) -> HotelWithRooms:
    return await HotelRepository(session).find(hotel_id)  # expect: SAW302


@router.get("/hotels/{hotel_id}/loaded")
async def hotel_loaded(hotel_id: int, session: Kept) -> HotelWithRooms:
    return await LoadedHotelRepository(session).find(hotel_id)  # ok: SAW302


@router.get("/hotels/{hotel_id}/manager")
async def hotel_manager(hotel_id: int, session: Kept) -> HotelWithManager:
    return await HotelRepository(session).find(hotel_id)  # ok: SAW302


@router.get("/hotels", response_model=Page[HotelWithRooms])
async def hotels(session: Kept):
    items = await HotelRepository(session).find_all()
    return {"items": items, "total": len(items)}  # expect: SAW302


@router.get("/hotels-brief", response_model=Page[HotelOut])
async def hotels_brief(session: Kept):
    items = await HotelRepository(session).find_all()
    return {"items": items, "total": len(items)}  # ok: SAW302


@router.get("/rooms/{room_id}/hotel", response_model=RoomWithHotel)
async def room_hotel(room_id: int, session: Kept):
    room = await session.get(Room, room_id)
    return room  # expect: SAW302


@router.get("/rooms/{room_id}/hotel-loaded", response_model=RoomWithHotel)
async def room_hotel_loaded(room_id: int, session: Kept):
    return await RoomRepository(session).with_hotel(room_id)  # ok: SAW302


@router.get("/rooms/{room_id}/amenities", response_model=RoomWithAmenities)
async def room_amenities(room_id: int, session: Kept):
    return await session.get(Room, room_id)  # ok: SAW302


@router.get("/stays/{stay_id}/guest", response_model=StayWithGuest)
async def stay_guest(stay_id: int, session: Kept):
    return await session.get_one(Stay, stay_id)  # ok: SAW302


@router.get("/stays/{stay_id}/room", response_model=StayWithRoom)
async def stay_room(stay_id: int, session: Kept):
    return await session.get_one(Stay, stay_id)  # expect: SAW302


@router.get("/rooms/{room_id}/stays", response_model=list[StayWithRoom])
async def room_stays(room_id: int, session: Kept):
    stays = await StayRepository(session).of_room(room_id)
    return [StayWithRoom.model_validate(stay, from_attributes=True) for stay in stays]  # expect: SAW302


@router.get("/rooms/{room_id}/stays-loaded", response_model=list[StayWithRoom])
async def room_stays_loaded(room_id: int, session: Kept):
    statement = select(Stay).where(Stay.room_id == room_id).options(selectinload(Stay.room))
    return (await session.scalars(statement)).all()  # ok: SAW302


@router.post("/rooms/{room_id}/check")
async def check(room_id: int, session: Kept) -> str:
    number = await session.scalar(select(Room.number).where(Room.id == room_id))
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"https://locks.example/{number}")  # expect: SAW406
    return answer.text


@router.get("/warm")
async def warm(request: Request) -> int:
    engine = create_async_engine(default_url())  # expect: SAW407
    try:
        async with AsyncSession(engine, expire_on_commit=False) as session:
            return await session.scalar(select(func.count()).select_from(Hotel)) or 0
    finally:
        await engine.dispose()


async def get_own_engine():
    engine = create_async_engine(default_url())  # expect: SAW407
    yield engine
    await engine.dispose()


@router.get("/own")
async def own(engine=Depends(get_own_engine)) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(Hotel))).scalar_one()


@router.post("/stays/{stay_id}/contract")
async def contract(stay_id: int, request: Request, service: Service) -> None:
    data = await request.body()
    await service.upload_contract(stay_id, data)
