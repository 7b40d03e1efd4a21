"""Users and their posts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from sqlawait import Page
from sqlawait.fastapi import ReaderDep, SessionDep, StreamSessionDep, ndjson
from sqlawait.fastapi.listing import Listing, listing
from sqlawait.service.models import Post, User
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import PostCreate, PostRead, UserCreate, UserPatch, UserRead, UserWithPosts

router = APIRouter(prefix="/users", tags=["users"])

Users = Annotated[
    Listing[User],
    listing(
        User,
        filters=[User.email, (User.name, "eq", "contains"), (User.created_at, "ge", "lt")],
        sorts=[User.name, User.email, User.created_at],
    ),
]
Posts = Annotated[Listing[Post], listing(Post, filters=[(Post.title, "contains")], sorts=[Post.created_at])]


@router.post("", status_code=201, response_model=UserRead)
async def create_user(body: UserCreate, session: SessionDep) -> User:
    """Create a user; a taken email answers 409."""
    return await session.create(User, **body.model_dump())


@router.get("", response_model=Page[UserRead])
async def list_users(users: Users, session: ReaderDep) -> Page[User]:
    """List users, a page at a time."""
    return await users.page(session)


@router.get("/export", response_class=StreamingResponse)
async def export_users(session: StreamSessionDep) -> StreamingResponse:
    """Every user as one JSON object a line, however many there are."""
    return ndjson(session, select(User).order_by(User.id), UserRead)


@router.get("/{user_id}", response_model=UserRead)
async def read_user(user_id: Id, session: ReaderDep) -> Any:
    """Read a user."""
    return await session.json_one(User, UserRead, id=user_id)


@router.get("/{user_id}/combined", response_model=UserWithPosts)
async def read_user_with_posts(user_id: Id, session: ReaderDep) -> Any:
    """Read a user and the user's posts at once: the response model is the query's plan."""
    return await session.json_one(User, UserWithPosts, id=user_id)


@router.patch("/{user_id}", response_model=UserRead)
async def change_user(user_id: Id, body: UserPatch, session: SessionDep) -> User:
    """Change what the body names."""
    user = await session.get_one(User, user_id)
    return await session.update(user, **body.model_dump(exclude_unset=True))


@router.delete("/{user_id}", status_code=204)
async def delete_user(user_id: Id, session: SessionDep) -> None:
    """Delete a user with the posts; one who has an account stays, with 409."""
    await session.delete(await session.get_one(User, user_id))


@router.get("/{user_id}/posts", response_model=Page[PostRead])
async def list_posts(user_id: Id, posts: Posts, session: ReaderDep) -> Page[Post]:
    """List a user's posts, a page at a time."""
    user = await session.get_one(User, user_id)
    return await posts.page(session, select(Post).where(Post.user_id == user.id))


@router.post("/{user_id}/posts", status_code=201, response_model=PostRead)
async def create_post(user_id: Id, body: PostCreate, session: SessionDep) -> Post:
    """Write a post."""
    user = await session.get_one(User, user_id)
    return await session.create(Post, user_id=user.id, **body.model_dump())
