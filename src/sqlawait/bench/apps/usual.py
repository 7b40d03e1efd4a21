"""The usual async stack: async routes and an AsyncSession, as the tutorials write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from sqlawait.bench.data import User, UserCreate, UserRead, UserUpdate, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
engine = create_async_engine(target.async_url, pool_size=target.connections, max_overflow=0)
sessions: Callable[[], AsyncSession] = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


@app.get("/nothing")
async def nothing() -> dict[str, bool]:
    return {"ok": True}


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: SessionDep) -> User:
    result = await session.execute(select(User).where(User.id == user_id))
    user = result.scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int, session: SessionDep) -> User:
    statement = select(User).where(User.id == user_id).options(selectinload(User.posts))
    result = await session.execute(statement)
    user = result.scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=list[UserRead])
async def list_users(session: SessionDep, after: int = 0) -> list[User]:
    statement = select(User).where(User.id > after).order_by(User.id).limit(PAGE)
    result = await session.execute(statement)
    return list(result.scalars())


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate, session: SessionDep) -> User:
    user = User(**body.model_dump())
    session.add(user)
    await session.commit()
    await session.refresh(user)
    return user


@app.patch("/users/{user_id}", response_model=UserRead)
async def update_user(user_id: int, body: UserUpdate, session: SessionDep) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    user.name = body.name
    await session.commit()
    await session.refresh(user)
    return user
