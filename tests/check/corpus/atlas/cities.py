"""Routes by somebody who has just changed Session to AsyncSession."""

import asyncio

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from .deps import Db, get_connection, get_session, get_sync_session
from .models import City, Country
from .sessions import NewStyle

router = APIRouter(prefix="/cities")


@router.get("/query")
async def by_query(db: AsyncSession = Depends(get_session)):
    return db.query(City).all()  # expect: SAW201


@router.get("/query-unannotated")
async def by_query_unannotated(db=Depends(get_session)):
    return db.query(City).filter(City.latitude > 0).all()  # expect: SAW201


@router.get("/query-alias")
async def by_query_alias(db: Db, name: str):
    return await db.query(City).filter_by(name=name).first()  # expect: SAW201 # also: SAW203


@router.get("/query-opened")
async def by_query_opened(name: str):
    async with NewStyle() as session:
        query = session.query(City.id)  # expect: SAW201
    return {"query": str(query.filter(City.name == name))}


class CityFinder:
    def __init__(self, session: AsyncSession):
        self.session = session

    async def find(self, name: str):
        return self.session.query(City).filter(City.name == name).one_or_none()  # expect: SAW201

    def statement(self, name: str):
        return self.session.query(City).filter(City.name == name)  # expect: SAW201

    async def in_sync(self, name: str):
        return await self.session.run_sync(lambda s: s.query(City).filter(City.name == name).first())  # ok: SAW201

    async def in_sync_def(self):
        def work(session: Session):
            return session.query(City).count()  # ok: SAW201, SAW101

        return await self.session.run_sync(work)


def helper_query(session, name):
    return session.query(Country).filter(Country.name == name).first()  # expect: SAW201


@router.get("/query-helper")
async def by_query_helper(db: Db, name: str):
    return helper_query(db, name)


@router.get("/count")
async def count_by_query(db: Db):
    total = db.query(func.count(City.id)).scalar()  # expect: SAW201
    return {"total": total}


@router.get("/sync")
def by_query_sync(db: Session = Depends(get_sync_session)):
    return db.query(City).limit(10).all()  # ok: SAW201, SAW101


@router.get("/search")
async def search(request_query: str, db: Db):
    params = SearchParams(request_query)
    return params.query(City)  # ok: SAW201


class SearchParams:
    def __init__(self, raw: str):
        self.raw = raw

    def query(self, model):
        return {"model": model.__name__, "raw": self.raw}


@router.get("/chained")
async def chained(db: Db):
    return db.execute(select(City)).scalars().all()  # expect: SAW202


@router.get("/half-awaited")
async def half_awaited(db: Db):
    result = db.execute(select(City))  # expect: SAW202
    return result.scalars().all()


@router.post("/bare")
async def bare(name: str, db: Db):
    db.add(City(name=name, latitude=0.0, country_code="IT"))  # ok: SAW202
    db.commit()  # expect: SAW202
    return {"ok": True}


@router.post("/bare-flush")
async def bare_flush(name: str, db: Db):
    city = City(name=name, latitude=0.0, country_code="IT")
    db.add(city)
    db.flush()  # expect: SAW202
    await db.commit()
    db.refresh(city)  # expect: SAW202
    return {"id": city.id}


@router.delete("/{city_id}")
async def remove(city_id: int, db: Db):
    city = db.get(City, city_id)  # expect: SAW202
    if city is None:
        raise HTTPException(404)
    db.delete(city)  # expect: SAW202
    await db.commit()


@router.get("/scalar")
async def scalar(db: Db):
    total = db.scalar(select(func.count()).select_from(City))  # expect: SAW202
    return {"total": total}


@router.get("/connection")
async def on_connection(connection: AsyncConnection = Depends(get_connection)):
    rows = connection.execute(text("SELECT 1")).fetchall()  # expect: SAW202
    return len(rows)


@router.get("/rollback")
async def on_error(db: Db):
    try:
        await db.execute(delete(City))
        await db.commit()
    except Exception:
        db.rollback()  # expect: SAW202
        raise


@router.get("/opened")
async def opened():
    session = NewStyle()  # also: SAW403
    try:
        cities = (await session.scalars(select(City))).all()
    finally:
        session.close()  # expect: SAW202
    return cities


@router.get("/stream")
async def streamed(db: Db):
    rows = db.stream(select(City.name))  # expect: SAW202
    return [row.name async for row in rows]


@router.get("/loop")
async def looped(db: Db):
    for city in db.scalars(select(City)):  # expect: SAW202
        print(city.name)


@router.get("/condition")
async def condition(db: Db):
    if db.scalar(select(City.id).where(City.name == "Rome")):  # expect: SAW202
        return "found"
    return "not found"


def city_coroutine(session: AsyncSession, city_id: int):
    return session.get(City, city_id)  # ok: SAW202


@router.get("/returned")
async def returned(db: Db, city_id: int):
    return await city_coroutine(db, city_id)  # ok: SAW202


@router.get("/kept")
async def kept(db: Db):
    pending = db.execute(select(City))  # ok: SAW202
    return (await pending).scalars().all()


@router.get("/timed")
async def timed(db: Db):
    result = await asyncio.wait_for(db.execute(select(City)), timeout=2)  # ok: SAW202
    await asyncio.shield(db.commit())  # ok: SAW202
    return result.scalars().all()


@router.get("/two")
async def two():
    async with NewStyle() as one, NewStyle() as other:
        first, second = await asyncio.gather(  # ok: SAW401
            one.execute(select(City)),  # ok: SAW202
            other.execute(select(Country)),  # ok: SAW202
        )
    return first.all(), second.all()


@router.get("/in-sync")
async def in_sync(db: Db):
    def work(session: Session) -> int:
        session.execute(update(City).values(latitude=0))  # ok: SAW202, SAW101
        session.commit()  # ok: SAW202, SAW101
        return session.scalar(select(func.count(City.id)))  # ok: SAW202, SAW101

    return await db.run_sync(work)


@router.post("/awaited-add")
async def awaited_add(name: str, db: Db):
    await db.add(City(name=name, latitude=1.0, country_code="FR"))  # expect: SAW203
    await db.commit()  # ok: SAW203


@router.post("/awaited-add-all")
async def awaited_add_all(names: list[str], db: Db):
    await db.add_all([City(name=name, latitude=1.0, country_code="FR") for name in names])  # expect: SAW203
    await db.commit()


@router.get("/awaited-scalars")
async def awaited_scalars(db: Db):
    result = await db.execute(select(City))
    return await result.scalars().all()  # expect: SAW203


@router.get("/awaited-fetch")
async def awaited_fetch(connection: AsyncConnection = Depends(get_connection)):
    result = await connection.execute(text("SELECT 1"))
    row = await result.fetchone()  # expect: SAW203
    return row[0]


@router.get("/awaited-one")
async def awaited_one(db: Db, name: str):
    city = await (await db.execute(select(City).where(City.name == name))).scalar_one_or_none()  # expect: SAW203
    return city


@router.get("/awaited-all")
async def awaited_all(db: Db):
    cities = await db.scalars(select(City))
    return await cities.all()  # expect: SAW203


@router.post("/awaited-expunge")
async def awaited_expunge(db: Db, city_id: int):
    city = await db.get(City, city_id)
    await db.expunge(city)  # expect: SAW203
    return city


@router.post("/awaited-sync")
async def awaited_sync(name: str, db: Session = Depends(get_sync_session)):
    db.add(City(name=name, latitude=1.0, country_code="FR"))
    await db.commit()  # expect: SAW203 # also: SAW101


@router.get("/awaited-sync-execute")
async def awaited_sync_execute(db: Session = Depends(get_sync_session)):
    result = await db.execute(select(City))  # expect: SAW203 # also: SAW101
    return result.scalars().all()


@router.delete("/awaited-delete/{city_id}")
async def awaited_delete(city_id: int, db: Db):
    city = await db.get(City, city_id)
    await db.delete(city)  # ok: SAW203
    await db.commit()


@router.get("/awaited-stream")
async def awaited_stream(db: Db):
    result = await db.stream_scalars(select(City))
    cities = await result.all()  # ok: SAW203
    return cities


@router.get("/awaited-stream-first")
async def awaited_stream_first(db: Db):
    result = await db.stream(select(City.name))
    first = await result.scalars().first()  # ok: SAW203
    await result.close()  # ok: SAW203
    return first


@router.get("/awaited-connection")
async def awaited_connection(db: Db):
    connection = await db.connection()  # ok: SAW203
    result = await connection.execute(insert(City).values(name="Oslo", latitude=59.9, country_code="NO"))
    await db.commit()
    return result.rowcount
