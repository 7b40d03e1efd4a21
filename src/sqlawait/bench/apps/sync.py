"""Sync routes and a sync session: FastAPI runs each in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, selectinload, sessionmaker

from sqlawait.bench.data import User, UserCreate, UserRead, UserUpdate, UserWithPosts
from sqlawait.bench.target import Target
from sqlawait.bench.workloads import PAGE

target = Target.from_environment()
# With fewer connections than threads (FastAPI has 40), threads and connections wait for each other.
engine = create_engine(target.sync_url, pool_size=max(40, target.connections), max_overflow=0)
sessions = sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


def get_session() -> Iterator[Session]:
    with sessions() as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]


@app.get("/nothing")
def nothing() -> dict[str, bool]:
    return {"ok": True}


@app.get("/users/{user_id}", response_model=UserRead)
def read_user(user_id: int, session: SessionDep) -> User:
    user = session.execute(select(User).where(User.id == user_id)).scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users/{user_id}/posts", response_model=UserWithPosts)
def read_user_with_posts(user_id: int, session: SessionDep) -> User:
    statement = select(User).where(User.id == user_id).options(selectinload(User.posts))
    user = session.execute(statement).scalar_one_or_none()
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=list[UserRead])
def list_users(session: SessionDep, after: int = 0) -> list[User]:
    statement = select(User).where(User.id > after).order_by(User.id).limit(PAGE)
    return list(session.execute(statement).scalars())


@app.post("/users", response_model=UserRead, status_code=201)
def create_user(body: UserCreate, session: SessionDep) -> User:
    user = User(**body.model_dump())
    session.add(user)
    session.commit()
    session.refresh(user)
    return user


@app.patch("/users/{user_id}", response_model=UserRead)
def update_user(user_id: int, body: UserUpdate, session: SessionDep) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    user.name = body.name
    session.commit()
    session.refresh(user)
    return user
