"""Litestar and advanced-alchemy's service."""

from __future__ import annotations

from typing import Annotated

from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.filters import LimitOffset
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Litestar, get, post
from litestar.di import Provide
from litestar.params import Parameter
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from sqlawait.bench.data import User, UserCreate, UserRead, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()


class UserService(SQLAlchemyAsyncRepositoryService[User]):
    class Repository(SQLAlchemyAsyncRepository[User]):
        model_type = User

    repository_type = Repository


async def provide_users(db_session: AsyncSession) -> UserService:
    return UserService(session=db_session)


@get("/users/{user_id:int}")
async def read_user(user_id: int, users: UserService) -> UserRead:
    return users.to_schema(await users.get(user_id), schema_type=UserRead)


@get("/users/{user_id:int}/posts")
async def read_user_with_posts(user_id: int, users: UserService) -> UserWithPosts:
    user = await users.get(user_id, load=[selectinload(User.posts)])
    return users.to_schema(user, schema_type=UserWithPosts)


@get("/users")
async def list_users(users: UserService, after: Annotated[int, Parameter()] = 0) -> list[UserRead]:
    found = await users.list(User.id > after, LimitOffset(PAGE, 0), order_by=("id", False))
    return [UserRead.model_validate(user) for user in found]


@post("/users")
async def create_user(data: UserCreate, users: UserService) -> UserRead:
    return users.to_schema(await users.create(data.model_dump(), auto_commit=True), schema_type=UserRead)


app = Litestar(
    [read_user, read_user_with_posts, list_users, create_user],
    dependencies={"users": Provide(provide_users)},
    plugins=[
        SQLAlchemyPlugin(
            SQLAlchemyAsyncConfig(
                connection_string=target.async_url.render_as_string(hide_password=False),
                engine_config=EngineConfig(pool_size=target.connections, max_overflow=0),
                session_config=AsyncSessionConfig(expire_on_commit=False),
            )
        )
    ],
    openapi_config=None,
)
