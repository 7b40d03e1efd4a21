"""FastAPI and SQLModel, with its AsyncSession."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import DateTime
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import Field, Relationship, SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sqlawait.bench.data import UserCreate, UserRead, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
engine = create_async_engine(target.async_url, pool_size=target.connections, max_overflow=0)
SQLModel.metadata.schema = target.schema


class User(SQLModel, table=True):
    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    email: str
    active: bool = True
    created_at: datetime | None = Field(
        default=None, sa_type=DateTime, sa_column_kwargs={"server_default": func.now()}
    )
    posts: list["Post"] = Relationship(sa_relationship_kwargs={"order_by": "Post.id"})  # noqa: UP037 - SQLModel reads it


class Post(SQLModel, table=True):
    __tablename__ = "posts"

    id: int | None = Field(default=None, primary_key=True)
    author_id: int = Field(foreign_key=f"{target.schema}.users.id")
    title: str
    body: str
    created_at: datetime | None = Field(default=None, sa_type=DateTime)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: SessionDep) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int, session: SessionDep) -> User:
    statement = select(User).where(User.id == user_id).options(selectinload(User.posts))
    user = (await session.exec(statement)).one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=list[UserRead])
async def list_users(session: SessionDep, after: int = 0) -> list[User]:
    statement = select(User).where(col(User.id) > after).order_by(col(User.id)).limit(PAGE)
    return list((await session.exec(statement)).all())


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate, session: SessionDep) -> User:
    user = User(**body.model_dump())
    session.add(user)
    await session.commit()
    await session.refresh(user)
    return user
