"""sqlawait with shaped reads: the response model is the query plan, and the database writes the JSON."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from sqlalchemy import bindparam, select

from sqlawait import Database
from sqlawait.bench.data import User, UserCreate, UserRead, UserUpdate, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE
from sqlawait.fastapi import ReaderDep, SessionDep, install

target = Target.from_environment()
db = Database(target.plain_url, pool_size=target.connections, pool_timeout=30)
app = FastAPI()
install(app, db)

PAGE_OF_USERS = select(User).where(User.id > bindparam("after")).order_by(User.id).limit(PAGE)


@app.get("/nothing")
async def nothing() -> Response:
    return Response(b'{"ok":true}', media_type="application/json")


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: ReaderDep) -> Any:
    return await session.json_one(User, UserRead, id=user_id)


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int, session: ReaderDep) -> Any:
    return await session.json_one(User, UserWithPosts, id=user_id)


@app.get("/users", response_model=list[UserRead])
async def list_users(session: ReaderDep, after: int = 0) -> Any:
    return await session.json_all(PAGE_OF_USERS, UserRead, {"after": after})


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate, session: SessionDep) -> User:
    return await session.create(User, **body.model_dump())


@app.patch("/users/{user_id}", response_model=UserRead)
async def update_user(user_id: int, body: UserUpdate, session: SessionDep) -> User:
    user = await session.one(select(User).where(User.id == user_id))
    return await session.update(user, **body.model_dump())
