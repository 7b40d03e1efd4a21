"""Starlette over asyncpg's pool with the JSON built in SQL by hand: about the least that Python can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sqlawait.bench.data import UserCreate, UserUpdate
from sqlawait.bench.target import Target

from . import sql

target = Target.from_environment()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        target.plain_url, min_size=target.connections, max_size=target.connections
    ) as pool:
        app.state.pool = pool
        yield


def answer(content: str | None, status: int = 200) -> Response:
    if content is None:
        return Response(status_code=404)
    return Response(content, status, media_type="application/json")


async def nothing(_: Request) -> Response:
    return answer('{"ok":true}')


async def read_user(request: Request) -> Response:
    return answer(await request.app.state.pool.fetchval(sql.USER_JSON, int(request.path_params["user_id"])))


async def read_user_with_posts(request: Request) -> Response:
    return answer(await request.app.state.pool.fetchval(sql.NESTED_JSON, int(request.path_params["user_id"])))


async def list_users(request: Request) -> Response:
    after = int(request.query_params.get("after", 0))
    return answer(await request.app.state.pool.fetchval(sql.LIST_JSON, after))


async def create_user(request: Request) -> Response:
    body = UserCreate.model_validate_json(await request.body())
    return answer(await request.app.state.pool.fetchval(sql.INSERT_JSON, body.name, body.email), 201)


async def update_user(request: Request) -> Response:
    body = UserUpdate.model_validate_json(await request.body())
    user_id = int(request.path_params["user_id"])
    return answer(await request.app.state.pool.fetchval(sql.UPDATE_JSON, user_id, body.name))


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/nothing", nothing),
        Route("/users/{user_id}", read_user),
        Route("/users/{user_id}", update_user, methods=["PATCH"]),
        Route("/users/{user_id}/posts", read_user_with_posts),
        Route("/users", list_users),
        Route("/users", create_user, methods=["POST"]),
    ],
)
