"""Loops started inside the loop."""

import asyncio
import concurrent.futures

import nest_asyncio
from anyio import from_thread, to_thread
from fastapi import APIRouter
from sqlalchemy import func, select

from .db import SessionDep, SessionMaker
from .models import Article
from .worker import reindex

router = APIRouter(prefix="/nested")


async def _count() -> int:
    async with SessionMaker() as session:
        return await session.scalar(select(func.count(Article.id))) or 0


def count_sync() -> int:
    """A bridge for sync callers."""
    return asyncio.run(_count())


def count_by_loop() -> int:
    loop = asyncio.get_event_loop()
    return loop.run_until_complete(_count())


def count_in_new_loop() -> int:
    loop = asyncio.new_event_loop()
    return loop.run_until_complete(_count())


def statistics() -> dict[str, int]:
    return {"articles": count_sync()}


class Facade:
    def reindex(self, desk_id: int) -> int:
        return self._run(reindex(desk_id))

    def _run(self, coroutine):
        return asyncio.run(coroutine)

    @property
    def size(self) -> int:
        return count_sync()


pool = concurrent.futures.ThreadPoolExecutor(1)


def run_in_new_thread(coroutine):
    return pool.submit(asyncio.run, coroutine)


@router.get("/direct")
async def direct():
    return {"count": asyncio.run(_count())}  # expect: SAW106


@router.get("/direct-loop")
async def direct_loop():
    nest_asyncio.apply()
    return {"count": asyncio.get_event_loop().run_until_complete(_count())}  # expect: SAW106


@router.get("/helper")
async def helper():
    return {"count": count_sync()}  # expect: SAW106


@router.get("/helper-loop")
async def helper_loop():
    return {"count": count_by_loop()}  # expect: SAW106


@router.get("/helper-new")
async def helper_new():
    return {"count": count_in_new_loop()}  # expect: SAW106


@router.get("/two-away")
async def two_away(session: SessionDep):
    newest = await session.scalar(select(func.max(Article.id)))
    return {"newest": newest, **statistics()}  # expect: SAW106


@router.get("/facade/{desk_id}")
async def facade(desk_id: int):
    return Facade().reindex(desk_id)  # expect: SAW106


@router.get("/runner")
async def runner():
    with asyncio.Runner() as own:
        return own.run(_count())  # expect: SAW106


@router.get("/direct-sync")
def direct_sync():
    return {"count": asyncio.run(_count())}  # ok: SAW106


@router.get("/helper-sync")
def helper_sync():
    return {"count": count_sync()}  # ok: SAW106


@router.get("/threaded")
async def threaded():
    return {"count": await to_thread.run_sync(count_sync)}  # ok: SAW106


@router.get("/awaited")
async def awaited():
    return {"count": await _count()}  # ok: SAW106


@router.get("/other-thread")
async def other_thread():
    future = run_in_new_thread(_count())  # ok: SAW106
    return {"count": await asyncio.wrap_future(future)}


@router.get("/coroutine-threadsafe")
def coroutine_threadsafe():
    return from_thread.run(_count)  # ok: SAW106
