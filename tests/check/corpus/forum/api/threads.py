from fastapi import APIRouter, HTTPException
from sqlalchemy import inspect, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload, subqueryload

from .. import crud
from ..db import SessionDep
from ..models import Member, Post, Thread
from ..schemas import PostIn, PostOut, PostWithAuthor, ThreadIn, ThreadOut, ThreadPage, ThreadWithPosts

router = APIRouter(prefix="/threads")


@router.get("/{thread_id}/titles")
async def post_bodies(thread_id: int, session: SessionDep) -> list[str]:
    thread = await session.get(Thread, thread_id)
    if thread is None:
        raise HTTPException(404)
    return [post.body for post in thread.posts]  # expect: SAW301


@router.get("/{thread_id}/titles-loaded")
async def post_bodies_loaded(thread_id: int, session: SessionDep) -> list[str]:
    thread = await session.get(Thread, thread_id, options=[selectinload(Thread.posts)])
    if thread is None:
        raise HTTPException(404)
    return [post.body for post in thread.posts]  # ok: SAW301


@router.get("/{thread_id}/owner")
async def owner(thread_id: int, session: SessionDep) -> dict[str, str]:
    thread = await crud.get_thread(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return {"owner": thread.owner.name}  # expect: SAW301


@router.get("/{thread_id}/owner-awaited")
async def owner_awaited(thread_id: int, session: SessionDep) -> dict[str, str]:
    thread = await crud.get_thread(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    member = await thread.awaitable_attrs.owner  # ok: SAW301
    return {"owner": member.name}


@router.get("/{thread_id}/owner-refreshed")
async def owner_refreshed(thread_id: int, session: SessionDep) -> dict[str, str]:
    thread = await crud.get_thread(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    await session.refresh(thread, ["owner"])
    return {"owner": thread.owner.name}  # ok: SAW301


@router.get("/{thread_id}/count")
async def count(thread_id: int, session: SessionDep) -> int:
    thread = await crud.get_thread_with_posts(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return len(thread.posts)  # ok: SAW301


@router.get("/{thread_id}/authors")
async def authors(thread_id: int, session: SessionDep) -> list[str]:
    thread = await crud.get_thread_with_posts(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return sorted({post.author.name for post in thread.posts})  # ok: SAW301


@router.get("/{thread_id}/reply-authors")
async def reply_authors(thread_id: int, session: SessionDep) -> list[str]:
    statement = select(Post).where(Post.thread_id == thread_id).options(selectinload(Post.replies))
    names = []
    for post in await session.scalars(statement):
        for reply in post.replies:  # ok: SAW301
            names.append(reply.author.name)  # expect: SAW301
    return names


@router.get("/latest/owners")
async def latest_owners(session: SessionDep) -> list[str]:
    threads = await crud.list_threads(session)
    return [thread.owner.name for thread in threads]  # expect: SAW301


@router.get("/latest/owners-joined")
async def latest_owners_joined(session: SessionDep) -> list[str]:
    result = await session.execute(select(Thread).options(joinedload(Thread.owner)).limit(10))
    return [thread.owner.name for thread in result.scalars()]  # ok: SAW301


@router.get("/latest/owners-contained")
async def latest_owners_contained(session: SessionDep) -> list[str]:
    statement = select(Thread).join(Thread.owner).options(contains_eager(Thread.owner)).limit(10)
    result = await session.execute(statement)
    return [thread.owner.name for thread in result.scalars().all()]  # ok: SAW301


@router.get("/latest/owners-join-only")
async def latest_owners_join_only(session: SessionDep) -> list[str]:
    statement = select(Thread).join(Thread.owner).where(Member.name != "").limit(10)
    threads = (await session.execute(statement)).scalars().all()
    return [thread.owner.name for thread in threads]  # expect: SAW301


@router.get("/latest/columns")
async def latest_columns(session: SessionDep) -> list[str]:
    rows = await session.execute(select(Thread.title, Member.name).join(Thread.owner))
    return [f"{title} by {name}" for title, name in rows]  # ok: SAW301


@router.get("/latest/tags")
async def latest_tags(session: SessionDep) -> list[str]:
    threads = await crud.list_threads(session)
    return [tag.name for thread in threads for tag in thread.tags]  # ok: SAW301


@router.get("/{thread_id}/post-count")
async def post_count(thread_id: int, session: SessionDep) -> int:
    thread = await crud.get_thread(session, thread_id)
    return thread.post_count if thread else 0  # expect: SAW301


@router.get("/{thread_id}/slug")
async def slug(thread_id: int, session: SessionDep) -> str:
    thread = await crud.get_thread(session, thread_id)
    return thread.slug if thread else ""  # ok: SAW301


@router.get("/{thread_id}/loaded")
async def loaded(thread_id: int, session: SessionDep) -> bool:
    thread = await crud.get_thread(session, thread_id)
    return thread is not None and "posts" not in inspect(thread).unloaded  # ok: SAW206, SAW301


@router.get("/{thread_id}", response_model=ThreadWithPosts)
async def read_thread(thread_id: int, session: SessionDep):
    thread = await crud.get_thread(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return thread  # expect: SAW302


@router.get("/{thread_id}/eager", response_model=ThreadWithPosts)
async def read_thread_eager(thread_id: int, session: SessionDep):
    thread = await crud.get_thread_with_posts(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return thread  # ok: SAW302


@router.get("/{thread_id}/brief", response_model=ThreadOut)
async def read_thread_brief(thread_id: int, session: SessionDep):
    thread = await crud.get_thread(session, thread_id)
    if thread is None:
        raise HTTPException(404)
    return thread  # ok: SAW302


@router.get("/", response_model=list[ThreadWithPosts])
async def read_threads(session: SessionDep):
    return await crud.list_threads(session)  # expect: SAW302


@router.get("/eager", response_model=list[ThreadWithPosts])
async def read_threads_eager(session: SessionDep):
    return await crud.list_threads_with_posts(session)  # ok: SAW302


@router.get("/page")
async def read_page(session: SessionDep) -> ThreadPage:
    threads = await crud.list_threads(session)
    total = await crud.count_threads(session)
    items = [ThreadWithPosts.model_validate(thread) for thread in threads]  # expect: SAW302
    return ThreadPage(items=items, total=total)


@router.get("/page-eager")
async def read_page_eager(session: SessionDep) -> ThreadPage:
    statement = select(Thread).options(subqueryload(Thread.posts)).limit(10)
    threads = (await session.scalars(statement)).all()
    items = [ThreadWithPosts.model_validate(thread) for thread in threads]  # ok: SAW302
    return ThreadPage(items=items, total=len(items))


@router.post("/{thread_id}/posts", status_code=201)
async def write_post(thread_id: int, body: PostIn, member_id: int, session: SessionDep) -> PostWithAuthor:
    post = Post(thread_id=thread_id, author_id=member_id, body=body.body)
    session.add(post)
    await session.commit()
    return post  # expect: SAW302


@router.post("/{thread_id}/posts-brief", status_code=201, response_model=PostOut)
async def write_post_brief(thread_id: int, body: PostIn, member_id: int, session: SessionDep):
    post = Post(thread_id=thread_id, author_id=member_id, body=body.body)
    session.add(post)
    await session.commit()
    return post  # ok: SAW302, SAW303


@router.post("/{thread_id}/posts-refreshed", status_code=201)
async def write_post_refreshed(thread_id: int, body: PostIn, member_id: int, session: SessionDep) -> PostWithAuthor:
    post = Post(thread_id=thread_id, author_id=member_id, body=body.body)
    session.add(post)
    await session.commit()
    await session.refresh(post, attribute_names=["id", "body", "author"])
    return post  # ok: SAW302


@router.post("/{thread_id}/append")
async def append_post(thread_id: int, body: PostIn, member_id: int, session: SessionDep) -> int:
    thread = await session.get_one(Thread, thread_id)
    thread.posts.append(Post(author_id=member_id, body=body.body))  # expect: SAW301
    await session.commit()
    return thread.id


@router.post("/", response_model=ThreadOut)
async def open_thread(body: ThreadIn, owner_id: int, session: SessionDep):
    thread = Thread(title=body.title, owner_id=owner_id, posts=[], tags=[])
    thread.posts.append(Post(author_id=owner_id, body="Welcome"))  # ok: SAW301
    session.add(thread)
    await session.commit()
    return thread
