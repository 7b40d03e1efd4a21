"""Loops that ask the database for each item, and loops that do not."""

from collections.abc import Iterable
from itertools import batched

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from .models import Article, Delivery, Desk


async def find(session: AsyncSession, article_id: int) -> Article | None:
    return await session.get(Article, article_id)


async def titles(session: AsyncSession, ids: list[int]) -> list[str]:
    found = []
    for article_id in ids:
        article = await find(session, article_id)  # expect: SAW305
        if article is not None:
            found.append(article.title)
    return found


async def titles_at_once(session: AsyncSession, ids: list[int]) -> list[str]:
    return list(await session.scalars(select(Article.title).where(Article.id.in_(ids))))  # ok: SAW305


async def desk_sizes(session: AsyncSession) -> dict[str, int]:
    sizes = {}
    for desk in (await session.scalars(select(Desk))).all():
        articles = await session.scalars(select(Article).where(Article.desk_id == desk.id))  # expect: SAW305
        sizes[desk.name] = len(articles.all())
    return sizes


async def desk_sizes_loaded(session: AsyncSession) -> dict[str, int]:
    desks = await session.scalars(select(Desk).options(selectinload(Desk.articles)))  # ok: SAW305
    return {desk.name: len(desk.articles) for desk in desks}  # ok: SAW301


async def rename(session: AsyncSession, names: dict[int, str]) -> None:
    for desk_id, name in names.items():
        await session.execute(update(Desk).where(Desk.id == desk_id).values(name=name))  # expect: SAW305
    await session.commit()


async def insert_each(session: AsyncSession, rows: list[dict[str, str]]) -> None:
    for row in rows:
        await session.execute(insert(Delivery).values(**row))  # expect: SAW305
    await session.commit()


async def insert_all(session: AsyncSession, rows: list[dict[str, str]]) -> None:
    await session.execute(insert(Delivery), rows)  # ok: SAW305
    await session.commit()


async def insert_objects(session: AsyncSession, addresses: Iterable[str], article_id: int) -> None:
    for address in addresses:
        session.add(Delivery(article_id=article_id, address=address))  # ok: SAW305, SAW202
    await session.commit()


async def insert_batches(session: AsyncSession, rows: list[dict[str, str]]) -> None:
    for batch in batched(rows, 500):
        await session.execute(insert(Delivery), list(batch))  # ok: SAW305
    await session.commit()


async def prune(session: AsyncSession, ids: list[int]) -> None:
    for start in range(0, len(ids), 1000):
        chunk = ids[start : start + 1000]
        await session.execute(delete(Delivery).where(Delivery.id.in_(chunk)))  # ok: SAW305
    await session.commit()


async def with_retries(session: AsyncSession, article_id: int) -> Article | None:
    for _ in range(3):
        try:
            return await session.get(Article, article_id)  # ok: SAW305
        except OperationalError:
            await session.rollback()
    return None


async def pages(session: AsyncSession):
    last = 0
    while True:
        statement = select(Article).where(Article.id > last).order_by(Article.id).limit(200)
        articles = (await session.scalars(statement)).all()  # ok: SAW305
        if not articles:
            return
        for article in articles:
            yield article
        last = articles[-1].id


async def existing(session: AsyncSession, addresses: list[str]) -> set[str]:
    return {
        address
        for address in addresses
        if await session.scalar(select(Delivery.id).where(Delivery.address == address))  # expect: SAW305
    }


async def upsert_each(session: AsyncSession, addresses: list[str], article_id: int) -> None:
    for address in addresses:
        result = await session.execute(select(Delivery).filter_by(address=address))  # expect: SAW305
        delivery = result.scalar_one_or_none()
        if delivery is None:
            session.add(Delivery(article_id=article_id, address=address))
        else:
            delivery.article_id = article_id
    await session.commit()


async def remove_each(session: AsyncSession, desk: Desk) -> None:
    deliveries = (await session.scalars(select(Delivery))).all()
    for delivery in deliveries:
        await session.delete(delivery)  # ok: SAW305
    await session.commit()
