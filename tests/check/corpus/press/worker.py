"""Celery: its functions run in workers, never on the web server's loop."""

import asyncio
import time

from celery import Celery, shared_task
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .db import SessionMaker, SyncSessionMaker
from .models import Article, Delivery

app = Celery("press")


@app.task
def deliver_task(article_id: int) -> None:
    with SyncSessionMaker() as session:
        session.add(Delivery(article_id=article_id, address="task@example.com"))
        session.commit()  # ok: SAW101
    time.sleep(0.1)  # ok: SAW104


@shared_task(bind=True)
def reindex_task(self, desk_id: int) -> int:
    return asyncio.run(reindex(desk_id))  # ok: SAW106


async def reindex(desk_id: int) -> int:
    async with SessionMaker() as session:
        return await _reindex(session, desk_id)


async def _reindex(session: AsyncSession, desk_id: int) -> int:
    articles = (await session.scalars(select(Article).where(Article.desk_id == desk_id))).all()
    for article in articles:
        await session.refresh(article)  # expect: SAW305
    for article in articles:
        article.title = article.title.strip()  # ok: SAW305
    await session.commit()
    return len(articles)


@app.task(name="press.legacy")
def legacy_task(desk_id: int) -> int:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(reindex(desk_id))  # ok: SAW106
    finally:
        loop.close()
