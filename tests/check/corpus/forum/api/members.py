from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload, selectinload

from ..crud import get_member, get_member_full, get_post
from ..db import SessionDep, get_session
from ..models import Member, Post, Profile, Thread
from ..schemas import MemberBrief, MemberFull, MemberWithBadges, PostWithAuthor

router = APIRouter(prefix="/members")


async def current_member(member_id: int, session: SessionDep) -> Member:
    member = await get_member(session, member_id)
    if member is None:
        raise HTTPException(404)
    return member


async def current_member_with_threads(member_id: int, session: SessionDep) -> Member:
    result = await session.execute(
        select(Member).where(Member.id == member_id).options(selectinload(Member.threads))
    )
    member = result.unique().scalar_one_or_none()
    if member is None:
        raise HTTPException(404)
    return member


Current = Annotated[Member, Depends(current_member)]


@router.get("/me/threads")
async def my_threads(member: Current) -> list[str]:
    return [thread.title for thread in member.threads]  # expect: SAW301


@router.get("/me/threads-loaded")
async def my_threads_loaded(member: Member = Depends(current_member_with_threads)) -> list[str]:
    return [thread.title for thread in member.threads]  # ok: SAW301


@router.get("/me/badges")
async def my_badges(member: Current) -> list[str]:
    return [badge.label for badge in member.badges]  # ok: SAW301


@router.get("/me", response_model=MemberWithBadges)
async def me(member: Current) -> Any:
    return member  # ok: SAW302


@router.get("/me/full", response_model=MemberFull)
async def me_full(member: Current) -> Any:
    return member  # expect: SAW302


@router.get("/{member_id}/full", response_model=MemberFull)
async def read_full(member_id: int, session: AsyncSession = Depends(get_session)) -> Any:
    return await get_member_full(session, member_id)  # ok: SAW302


@router.get("/{member_id}/full-validated")
async def read_full_validated(member_id: int, session: AsyncSession = Depends(get_session)) -> dict[str, Any]:
    member = await get_member(session, member_id)
    return MemberFull.model_validate(member).model_dump()  # expect: SAW302


@router.get("/{member_id}/brief-validated")
async def read_brief_validated(member_id: int, session: AsyncSession = Depends(get_session)) -> dict[str, Any]:
    member = await get_member(session, member_id)
    return MemberBrief.model_validate(member).model_dump()  # ok: SAW302


@router.get("/{member_id}/first-author")
async def first_author(member_id: int, session: SessionDep) -> PostWithAuthor | None:
    post = await session.scalar(select(Post).where(Post.author_id == member_id).limit(1))
    return post  # expect: SAW302


@router.get("/{member_id}/bio")
async def bio(member_id: int, session: SessionDep) -> str:
    member = (await session.execute(select(Member).filter_by(id=member_id))).scalar_one()
    if member.profile is None:  # expect: SAW301
        return ""
    return member.profile.bio  # also: SAW301


@router.get("/{member_id}/bio-queried")
async def bio_queried(member_id: int, session: SessionDep) -> str:
    profile = await session.scalar(select(Profile).where(Profile.member_id == member_id))
    return profile.bio if profile else ""  # ok: SAW301


@router.get("/posts/{post_id}/context")
async def context(post_id: int, session: SessionDep) -> dict[str, Any]:
    post = await get_post(session, post_id)
    if post is None:
        raise HTTPException(404)
    return {
        "thread": post.thread.title,  # expect: SAW301
        "parent": post.parent.body if post.parent else None,  # expect: SAW301
        "author": post.author_id,  # ok: SAW301
    }


@router.get("/posts/{post_id}/context-loaded")
async def context_loaded(post_id: int, session: SessionDep) -> dict[str, Any]:
    options = [joinedload(Post.thread).joinedload(Thread.owner), joinedload(Post.author)]
    post = await session.get(Post, post_id, options=options)
    if post is None:
        raise HTTPException(404)
    return {"thread": post.thread.title, "owner": post.thread.owner.name, "author": post.author.name}  # ok: SAW301


@router.put("/{member_id}/profile", response_model=MemberBrief)
async def put_profile(member_id: int, bio: str, session: SessionDep):
    member = await get_member_full(session, member_id)
    if member is None:
        raise HTTPException(404)
    if member.profile:  # ok: SAW301
        member.profile.bio = bio
    else:
        member.profile = Profile(bio=bio)
    await session.commit()
    return member  # ok: SAW303


def _thread_titles(member: Member) -> list[str]:
    return [thread.title for thread in member.threads]  # expect: SAW301[titles]


@router.get("/{member_id}/titles")
async def titles(member_id: int, session: SessionDep) -> list[str]:
    member = await session.get_one(Member, member_id)
    return _thread_titles(member)  # expect: SAW301[titles]


@router.get("/{member_id}/titles-in-sync")
async def titles_in_sync(member_id: int, session: SessionDep) -> list[str]:
    def read(sync_session) -> list[str]:
        member = sync_session.get(Member, member_id)
        return [thread.title for thread in member.threads]  # ok: SAW301

    return await session.run_sync(read)
