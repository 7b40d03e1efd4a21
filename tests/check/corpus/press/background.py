"""Work after the response."""

import asyncio
from functools import partial

import httpx
from fastapi import APIRouter, BackgroundTasks, Depends
from fastapi.responses import JSONResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as StarletteTasks

from .db import FunctionDep, SessionDep, SessionMaker, SyncSessionDep, SyncSessionMaker, get_session
from .models import Article, Delivery
from .worker import deliver_task

router = APIRouter(prefix="/background")


async def deliver(session: AsyncSession, article_id: int) -> None:
    session.add(Delivery(article_id=article_id, address="readers@example.com"))
    await session.commit()


async def deliver_own(article_id: int) -> None:
    async with SessionMaker() as session:
        await deliver(session, article_id)


async def deliver_with(factory, article_id: int) -> None:
    async with factory() as session:
        await deliver(session, article_id)


def deliver_sync(article_id: int) -> None:
    with SyncSessionMaker() as session:
        session.add(Delivery(article_id=article_id, address="sync@example.com"))
        session.commit()


def archive(db, article_id: int) -> None:
    db.delete(db.get(Article, article_id))
    db.commit()


class Mailer:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def mail(self, article_id: int) -> None:
        await deliver(self.session, article_id)


class OwnMailer:
    def __init__(self, address: str) -> None:
        self.address = address

    async def mail(self, article_id: int) -> None:
        await deliver_own(article_id)


@router.post("/positional/{article_id}")
async def positional(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    tasks.add_task(deliver, session, article_id)  # expect: SAW402
    return {"queued": article_id}


@router.post("/keyword/{article_id}")
async def keyword(article_id: int, tasks: BackgroundTasks, db: AsyncSession = Depends(get_session)):
    tasks.add_task(deliver, session=db, article_id=article_id)  # expect: SAW402
    return {"queued": article_id}


@router.post("/function/{article_id}")
async def function_scoped(article_id: int, session: FunctionDep, tasks: BackgroundTasks):
    tasks.add_task(deliver, session, article_id)  # expect: SAW402
    return {"queued": article_id}


@router.post("/partial/{article_id}")
async def by_partial(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    tasks.add_task(partial(deliver, session, article_id))  # expect: SAW402
    return {"queued": article_id}


@router.post("/closure/{article_id}")
async def by_closure(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    async def later():
        await deliver(session, article_id)  # also: SAW402

    tasks.add_task(later)  # expect: SAW402
    return {"queued": article_id}


@router.post("/method/{article_id}")
async def by_method(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    mailer = Mailer(session)
    tasks.add_task(mailer.mail, article_id)  # expect: SAW402
    return {"queued": article_id}


@router.post("/sync/{article_id}")
def by_sync(article_id: int, db: SyncSessionDep, tasks: BackgroundTasks):
    tasks.add_task(archive, db, article_id)  # expect: SAW402
    return {"queued": article_id}


@router.post("/response/{article_id}")
async def by_response(article_id: int, session: SessionDep):
    task = BackgroundTask(deliver, session, article_id)  # expect: SAW402
    return JSONResponse({"queued": article_id}, background=task)


@router.post("/response-tasks/{article_id}")
async def by_response_tasks(article_id: int, session: SessionDep):
    tasks = StarletteTasks()
    tasks.add_task(deliver, session, article_id)  # expect: SAW402
    return JSONResponse({"queued": article_id}, background=tasks)


def enqueue(tasks: BackgroundTasks, session: AsyncSession, article_id: int) -> None:
    tasks.add_task(deliver, session, article_id)  # expect: SAW402


@router.post("/helper/{article_id}")
async def by_helper(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    enqueue(tasks, session, article_id)
    return {"queued": article_id}


@router.post("/own/{article_id}")
async def with_own(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    article = await session.get(Article, article_id)
    if article is not None:
        tasks.add_task(deliver_own, article.id)  # ok: SAW402
    return {"queued": article_id}


@router.post("/own-sync/{article_id}")
async def with_own_sync(article_id: int, tasks: BackgroundTasks):
    tasks.add_task(deliver_sync, article_id)  # ok: SAW402, SAW101, SAW102
    return {"queued": article_id}


@router.post("/factory/{article_id}")
async def with_factory(article_id: int, tasks: BackgroundTasks):
    tasks.add_task(deliver_with, SessionMaker, article_id)  # ok: SAW402
    return {"queued": article_id}


@router.post("/own-method/{article_id}")
async def with_own_method(article_id: int, session: SessionDep, tasks: BackgroundTasks):
    mailer = OwnMailer("all@example.com")
    tasks.add_task(mailer.mail, article_id)  # ok: SAW402
    return {"count": len((await session.scalars(select(Article.id))).all())}


@router.post("/celery/{article_id}")
async def with_celery(article_id: int, session: SessionDep):
    article = await session.get(Article, article_id)
    deliver_task.delay(article.id)  # ok: SAW102, SAW402
    return {"queued": article_id}


@router.post("/task/{article_id}")
async def by_task(article_id: int, session: SessionDep):
    task = asyncio.create_task(deliver(session, article_id))  # expect: SAW401
    article = await session.get(Article, article_id)
    await task
    return {"title": article.title if article else None}


@router.post("/task-own/{article_id}")
async def by_task_own(article_id: int):
    task = asyncio.create_task(deliver_own(article_id))  # ok: SAW401
    await task
    return {"done": True}


@router.post("/ensure/{article_id}")
async def by_ensure_future(article_id: int, session: SessionDep):
    first = asyncio.ensure_future(session.get(Article, article_id))  # also: SAW401
    second = asyncio.ensure_future(session.get(Article, article_id + 1))  # expect: SAW401
    return [await first, await second]


@router.post("/many")
async def many(ids: list[int], session: SessionDep):
    tasks = [deliver(session, article_id) for article_id in ids]
    await asyncio.gather(*tasks)  # expect: SAW401
    return {"delivered": len(ids)}


@router.post("/many-map")
async def many_map(ids: list[int], session: SessionDep):
    await asyncio.gather(*map(partial(deliver, session), ids), return_exceptions=True)  # expect: SAW401
    return {"delivered": len(ids)}


@router.post("/many-own")
async def many_own(ids: list[int]):
    await asyncio.gather(*(deliver_own(article_id) for article_id in ids))  # ok: SAW401
    return {"delivered": len(ids)}


@router.post("/many-group")
async def many_group(ids: list[int], session: SessionDep):
    async with asyncio.TaskGroup() as group:
        for article_id in ids:
            group.create_task(deliver(session, article_id))  # expect: SAW401
    return {"delivered": len(ids)}


@router.post("/many-anyio")
async def many_anyio(ids: list[int], session: SessionDep):
    import anyio

    async with anyio.create_task_group() as group:
        for article_id in ids:
            group.start_soon(deliver, session, article_id)  # expect: SAW401
    return {"delivered": len(ids)}


@router.post("/many-method")
async def many_method(ids: list[int], session: SessionDep):
    mailer = Mailer(session)
    await asyncio.gather(*[mailer.mail(article_id) for article_id in ids])  # expect: SAW401
    return {"delivered": len(ids)}


async def fetch_body(client: httpx.AsyncClient, url: str) -> str:
    return (await client.get(url)).text


@router.post("/fetch")
async def fetch(urls: list[str], session: SessionDep):
    async with httpx.AsyncClient() as client:
        bodies = await asyncio.gather(*[fetch_body(client, url) for url in urls])  # ok: SAW401, SAW406
    session.add_all([Article(title=url, body=body, desk_id=1) for url, body in zip(urls, bodies)])
    await session.commit()
    return {"fetched": len(bodies)}


@router.post("/fetch-inside")
async def fetch_inside(session: SessionDep):
    articles = (await session.scalars(select(Article))).all()
    async with httpx.AsyncClient() as client:
        for article in articles:
            response = await client.get(f"https://wire.example/{article.id}")  # expect: SAW406
            article.body = response.text
    await session.commit()
    return {"fetched": len(articles)}


@router.post("/fetch-ended")
async def fetch_ended(session: SessionDep):
    ids = (await session.scalars(select(Article.id))).all()
    await session.rollback()
    async with httpx.AsyncClient() as client:
        bodies = [(await client.get(f"https://wire.example/{article_id}")).text for article_id in ids]  # ok: SAW406
    return {"length": sum(map(len, bodies))}
