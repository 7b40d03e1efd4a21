from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from .models import Member, Post, Thread


async def get_thread(session: AsyncSession, thread_id: int) -> Thread | None:
    return await session.get(Thread, thread_id)


async def get_thread_with_posts(session: AsyncSession, thread_id: int) -> Thread | None:
    result = await session.execute(
        select(Thread).where(Thread.id == thread_id).options(selectinload(Thread.posts).joinedload(Post.author))
    )
    return result.scalar_one_or_none()


async def list_threads(session: AsyncSession, *, limit: int = 20) -> Sequence[Thread]:
    return (await session.scalars(select(Thread).order_by(Thread.id.desc()).limit(limit))).all()


async def list_threads_with_posts(session: AsyncSession, *, limit: int = 20) -> Sequence[Thread]:
    statement = select(Thread).order_by(Thread.id.desc()).limit(limit)
    statement = statement.options(selectinload(Thread.posts))
    return (await session.scalars(statement)).all()


async def get_member(session: AsyncSession, member_id: int) -> Member | None:
    return await session.get(Member, member_id)


async def get_member_full(session: AsyncSession, member_id: int) -> Member | None:
    return await session.get(Member, member_id, options=[joinedload(Member.profile)])


async def count_threads(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(Thread)) or 0


async def get_post(session: AsyncSession, post_id: int) -> Post | None:
    result = await session.execute(select(Post).where(Post.id == post_id))
    return result.scalars().first()
