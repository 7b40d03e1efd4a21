"""FastAPI and Tortoise ORM on asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import FastAPI, HTTPException
from tortoise import fields
from tortoise.contrib.fastapi import RegisterTortoise
from tortoise.models import Model

from sqlawait.bench.data import UserCreate, UserRead, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()


class User(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    email = fields.CharField(max_length=200, unique=True)
    active = fields.BooleanField(default=True)
    created_at = fields.DatetimeField(default=datetime.now)  # auto_now_add gives an aware one
    posts: fields.ReverseRelation[Post]

    class Meta:
        table = "users"
        schema = target.schema


class Post(Model):
    id = fields.IntField(primary_key=True)
    author: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", related_name="posts")
    title = fields.CharField(max_length=200)
    body = fields.TextField()
    created_at = fields.DatetimeField(default=datetime.now)

    class Meta:
        table = "posts"
        schema = target.schema
        ordering = ("id",)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    credentials = {
        "host": target.url.host,
        "port": target.url.port,
        "user": target.url.username,
        "password": target.url.password,
        "database": target.url.database,
        "minsize": target.connections,
        "maxsize": target.connections,
    }
    config = {
        "connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        "apps": {"models": {"models": ["peers.tortoise_app"], "default_connection": "default"}},
    }
    async with RegisterTortoise(app, config=config, use_tz=False):
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int) -> User:
    user = await User.get_or_none(id=user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int) -> dict[str, Any]:
    user = await User.get_or_none(id=user_id).prefetch_related("posts")
    if user is None:
        raise HTTPException(404)
    return {**dict(user), "posts": list(user.posts)}


@app.get("/users", response_model=list[UserRead])
async def list_users(after: int = 0) -> list[User]:
    return await User.filter(id__gt=after).order_by("id").limit(PAGE)


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate) -> User:
    return await User.create(**body.model_dump())
