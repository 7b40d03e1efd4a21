"""sqlawait as its documentation shows it first: the session of the request and the verbs."""

from __future__ import annotations

from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from sqlawait import Database
from sqlawait.bench.data import User, UserCreate, UserRead, UserUpdate, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE
from sqlawait.fastapi import SessionDep, install

target = Target.from_environment()
db = Database(target.plain_url, pool_size=target.connections, pool_timeout=30)
app = FastAPI()
install(app, db)


@app.get("/nothing")
async def nothing() -> dict[str, bool]:
    return {"ok": True}


@app.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: SessionDep) -> User:
    return await session.one(select(User).where(User.id == user_id))


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
async def read_user_with_posts(user_id: int, session: SessionDep) -> User:
    return await session.one(select(User).where(User.id == user_id).options(selectinload(User.posts)))


@app.get("/users", response_model=list[UserRead])
async def list_users(session: SessionDep, after: int = 0) -> list[User]:
    return await session.all(select(User).where(User.id > after).order_by(User.id).limit(PAGE))


@app.post("/users", response_model=UserRead, status_code=201)
async def create_user(body: UserCreate, session: SessionDep) -> User:
    return await session.create(User, **body.model_dump())


@app.patch("/users/{user_id}", response_model=UserRead)
async def update_user(user_id: int, body: UserUpdate, session: SessionDep) -> User:
    user = await session.one(select(User).where(User.id == user_id))
    return await session.update(user, **body.model_dump())
