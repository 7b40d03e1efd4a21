from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy import create_engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from .config import Settings, get_settings
from .middleware import get_async_db, get_db
from .models import Depot, Parcel
from .sessions import (
    Holder,
    Store,
    TaskSession,
    ThreadSession,
    factory,
    get_current_session,
    get_session,
    get_shared,
    get_sync,
    get_sync_unclosed,
    get_unclosed,
    get_unclosed_generator,
    make_session,
    session_scope,
    tenant_engine,
)
from .tenants import depot_count, per_call_session, warehouse_engine

router = APIRouter(prefix="/parcels")


# request.state.db
@router.get("/state/{parcel_id}")
async def read_state(parcel_id: int, request: Request):
    parcel = request.state.db.get(Parcel, parcel_id)  # expect: SAW101
    return {"label": parcel.label}


@router.get("/state-sync/{parcel_id}")
def read_state_sync(parcel_id: int, request: Request):
    return {"label": request.state.db.get(Parcel, parcel_id).label}  # ok: SAW101


@router.get("/state-dep/{parcel_id}")
async def read_state_dep(parcel_id: int, db: Session = Depends(get_db)):
    return {"count": db.query(Parcel).filter_by(id=parcel_id).count()}  # expect: SAW101


@router.get("/state-async/{parcel_id}")
async def read_state_async(parcel_id: int, db: AsyncSession = Depends(get_async_db)):
    parcel = await db.get(Parcel, parcel_id)  # ok: SAW101
    return {"label": parcel.label if parcel else None}


# context variables
@router.get("/context/{parcel_id}")
async def read_context(parcel_id: int):
    async with session_scope():
        return await _label(parcel_id)


async def _label(parcel_id: int) -> str | None:
    session = get_current_session()  # ok: SAW403
    parcel = await session.get(Parcel, parcel_id)  # ok: SAW202
    return parcel.label if parcel else None


@router.get("/context/{parcel_id}/wrong")
async def read_context_wrong(parcel_id: int):
    session = get_current_session()
    parcel = session.get(Parcel, parcel_id)  # expect: SAW202
    return parcel.label


@router.get("/depots/{depot_id}/labels")
async def depot_labels(depot_id: int):
    session = get_current_session()
    depot = await session.get(Depot, depot_id)
    return [parcel.label for parcel in depot.parcels]  # expect: SAW301


@router.get("/{parcel_id}/city")
async def parcel_city(parcel_id: int):
    parcel = await get_current_session().get(Parcel, parcel_id)
    return parcel.depot.city  # ok: SAW301


# the scoped and the shared
@router.get("/thread/{parcel_id}")
async def read_thread_scoped(parcel_id: int):
    parcel = ThreadSession.get(Parcel, parcel_id)  # expect: SAW101
    return {"label": parcel.label}


@router.get("/thread-sync/{parcel_id}")
def read_thread_scoped_sync(parcel_id: int):
    parcel = ThreadSession.query(Parcel).get(parcel_id)  # ok: SAW101
    ThreadSession.remove()
    return {"label": parcel.label}


@router.get("/task/{parcel_id}")
async def read_task_scoped(parcel_id: int):
    parcel = await TaskSession.get(Parcel, parcel_id)
    return {"label": parcel.label}


@router.post("/store")
async def store(label: str):
    await Store.save(Parcel(label=label, depot_id=1))
    return {"ok": True}


@router.get("/shared")
async def shared(session: AsyncSession = Depends(get_shared)):
    return await session.scalar(select(func.count(Parcel.id)))


# opened and not closed
@router.get("/open/{parcel_id}")
async def open_and_forget(parcel_id: int):
    session = factory()  # expect: SAW403
    parcel = await session.get(Parcel, parcel_id)
    return {"label": parcel.label}


@router.get("/open-helper/{parcel_id}")
async def open_and_forget_helper(parcel_id: int):
    session = make_session()  # expect: SAW403
    parcel = await session.get(Parcel, parcel_id)
    return {"label": parcel.label}


@router.get("/open-branch/{parcel_id}")
async def close_only_when_found(parcel_id: int):
    session = factory()  # expect: SAW403
    parcel = await session.get(Parcel, parcel_id)
    if parcel is None:
        raise HTTPException(404)
    await session.close()
    return {"label": parcel.label}


@router.get("/open-finally/{parcel_id}")
async def close_always(parcel_id: int):
    session = make_session()  # ok: SAW403
    try:
        parcel = await session.get(Parcel, parcel_id)
        return {"label": parcel.label if parcel else None}
    finally:
        await session.close()


@router.get("/open-with/{parcel_id}")
async def close_by_with(parcel_id: int):
    session = factory()  # ok: SAW403
    async with session:
        parcel = await session.get(Parcel, parcel_id)
        return {"label": parcel.label if parcel else None}


@router.get("/open-stack/{parcel_id}")
async def close_by_stack(parcel_id: int):
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(factory())  # ok: SAW403
        parcel = await session.get(Parcel, parcel_id)
        return {"label": parcel.label if parcel else None}


@router.get("/open-holder/{parcel_id}")
async def close_by_holder(parcel_id: int):
    async with Holder() as holder:  # ok: SAW403
        parcel = await holder.session.get(Parcel, parcel_id)
        return {"label": parcel.label if parcel else None}


@router.get("/dep-unclosed")
async def dep_unclosed(session: AsyncSession = Depends(get_unclosed)):
    return await session.scalar(select(func.count(Parcel.id)))


@router.get("/dep-unclosed-generator")
async def dep_unclosed_generator(session: AsyncSession = Depends(get_unclosed_generator)):
    return await session.scalar(select(func.count(Parcel.id)))


@router.get("/dep-sync-unclosed")
def dep_sync_unclosed(db: Session = Depends(get_sync_unclosed)):
    return db.scalar(select(func.count(Parcel.id)))


@router.get("/next")
def by_next():
    db = next(get_sync())  # expect: SAW403
    return db.scalar(select(func.count(Parcel.id)))


@router.get("/anext")
async def by_anext():
    session = await anext(get_session())  # expect: SAW403
    return await session.scalar(select(func.count(Parcel.id)))


# the dependency as an iterator
@router.get("/iterated")
async def iterated():
    async for session in get_session():  # expect: SAW404
        return await session.scalar(select(func.count(Parcel.id)))


@router.get("/iterated-helper")
async def iterated_helper(city: str):
    depot = await find_depot(city)
    return {"id": depot.id if depot else None}


async def find_depot(city: str) -> Depot | None:
    async for db in get_session():  # expect: SAW404
        result = await db.execute(select(Depot).where(Depot.city == city))
        return result.scalar_one_or_none()


async def rename_depot(depot_id: int, city: str) -> None:
    async for db in get_session():  # expect: SAW404
        depot = await db.get(Depot, depot_id)
        depot.city = city
        await db.commit()
        break


@asynccontextmanager
async def depot_of(city: str):
    async for session in get_session():  # expect: SAW404
        yield await session.scalar(select(Depot).where(Depot.city == city))


async def each_parcel():
    async with factory() as session:
        stream = await session.stream_scalars(select(Parcel))
        async for parcel in stream:  # ok: SAW404
            yield parcel


async def label_all() -> list[str]:
    return [parcel.label async for parcel in each_parcel()]  # ok: SAW404


async def print_all() -> None:
    async for parcel in each_parcel():  # ok: SAW404
        print(parcel.label)


async def by_context_manager(city: str) -> int | None:
    async with asynccontextmanager(get_session)() as session:  # ok: SAW404, SAW403
        return await session.scalar(select(Depot.id).where(Depot.city == city))


# engines
@router.get("/engine")
async def engine_in_route(settings: Settings = Depends(get_settings)):
    engine = create_async_engine(settings.database_url)  # expect: SAW407
    async with engine.connect() as connection:
        result = await connection.execute(select(func.count(Parcel.id)))
    await engine.dispose()
    return result.scalar()


@router.get("/engine-sync")
def engine_in_sync_route(settings: Settings = Depends(get_settings)):
    engine = create_engine(settings.sync_database_url)  # expect: SAW407
    with sessionmaker(engine)() as session:
        return session.scalar(select(func.count(Parcel.id)))


async def get_tenant_session(tenant: str):
    engine = create_async_engine(get_settings().tenant_url.format(tenant=tenant))  # expect: SAW407
    async with async_sessionmaker(engine, expire_on_commit=False)() as session:
        yield session


@router.get("/tenants/{tenant}")
async def of_tenant(session: AsyncSession = Depends(get_tenant_session)):
    return await session.scalar(select(func.count(Parcel.id)))


@router.get("/tenants/{tenant}/cached")
async def of_tenant_cached(tenant: str):
    async with AsyncSession(tenant_engine(tenant), expire_on_commit=False) as session:
        return await session.scalar(select(func.count(Parcel.id)))


@router.get("/tenants/{tenant}/depots")
async def depots_of_tenant(tenant: str):
    return await depot_count(tenant)


@router.get("/tenants/{tenant}/opened")
async def opened_of_tenant(tenant: str):
    async with per_call_session(tenant) as session:
        return await session.scalar(select(func.count(Parcel.id)))


@router.get("/warehouse")
def warehouse():
    with warehouse_engine().connect() as connection:
        return connection.scalar(select(func.count(Parcel.id)))
