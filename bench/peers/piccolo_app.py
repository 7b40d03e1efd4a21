"""FastAPI and Piccolo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from piccolo.columns import Boolean, ForeignKey, Serial, Text, Timestamp, Varchar
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table

from sqlawait.bench.data import UserCreate, UserRead, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
engine = PostgresEngine(config={"dsn": target.plain_url}, extensions=())


class User(Table, tablename="users", schema=target.schema, db=engine):
    id = Serial(primary_key=True)
    name = Varchar(100)
    email = Varchar(200, unique=True)
    active = Boolean(default=True)
    created_at = Timestamp()


class Post(Table, tablename="posts", schema=target.schema, db=engine):
    id = Serial(primary_key=True)
    author_id = ForeignKey(User)
    title = Varchar(200)
    body = Text()
    created_at = Timestamp()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await engine.start_connection_pool(min_size=target.connections, max_size=target.connections)
    yield
    await engine.close_connection_pool()


app = FastAPI(lifespan=lifespan)


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int) -> dict[str, Any]:
    user = await User.select().where(User.id == user_id).first()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int) -> dict[str, Any]:
    user = await User.select().where(User.id == user_id).first()
    if user is None:
        raise HTTPException(404)
    posts = await Post.select().where(Post.author_id == user_id).order_by(Post.id)
    return {**user, "posts": posts}


@app.get("/users", response_model=list[UserRead])
async def list_users(after: int = 0) -> list[dict[str, Any]]:
    return await User.select().where(User.id > after).order_by(User.id).limit(PAGE)


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate) -> dict[str, Any]:
    made = await User.insert(User(**body.model_dump())).returning(*User.all_columns())
    return made[0]
