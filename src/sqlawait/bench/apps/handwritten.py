"""FastAPI over hand-written SQL on asyncpg's pool: what people write when the ORM is too slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException, Request

from sqlawait.bench.data import UserCreate, UserRead, UserUpdate, UserWithPosts
from sqlawait.bench.target import Target

from . import sql

target = Target.from_environment()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        target.plain_url, min_size=target.connections, max_size=target.connections
    ) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/nothing")
async def nothing() -> dict[str, bool]:
    return {"ok": True}


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, request: Request) -> dict[str, Any]:
    user = await request.app.state.pool.fetchrow(sql.USER, user_id)
    if user is None:
        raise HTTPException(404)
    return dict(user)


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int, request: Request) -> dict[str, Any]:
    async with request.app.state.pool.acquire() as connection:
        user = await connection.fetchrow(sql.USER, user_id)
        if user is None:
            raise HTTPException(404)
        posts = await connection.fetch(sql.POSTS, user_id)
    return {**user, "posts": [dict(post) for post in posts]}


@app.get("/users", response_model=list[UserRead])
async def list_users(request: Request, after: int = 0) -> list[dict[str, Any]]:
    return [dict(user) for user in await request.app.state.pool.fetch(sql.LIST, after)]


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate, request: Request) -> dict[str, Any]:
    return dict(await request.app.state.pool.fetchrow(sql.INSERT, body.name, body.email))


@app.patch("/users/{user_id}", response_model=UserRead)
async def update_user(user_id: int, body: UserUpdate, request: Request) -> dict[str, Any]:
    user = await request.app.state.pool.fetchrow(sql.UPDATE, user_id, body.name)
    if user is None:
        raise HTTPException(404)
    return dict(user)
