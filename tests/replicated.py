"""An application with replicas, for tests that serve it from several processes: ``uvicorn replicated:app``."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import text

from models import User
from sqlawait import Database
from sqlawait.fastapi import ReaderDep, SessionDep, install

db = Database(
    os.environ["DATABASE_URL"],
    replicas=os.environ["REPLICAS"].split(),
    max_lag=3600,
    pool_size=2,
    threads=1,
)
app = FastAPI()
install(app, db, secret=os.environ["SECRET"])


class UserRead(BaseModel):
    id: int
    email: str


@app.post("/users/{email}", status_code=201, response_model=UserRead)
async def create_user(email: str, session: SessionDep) -> User:
    return await session.create(User, email=email)


@app.get("/users/{email}", response_model=UserRead)
async def read_user(email: str, session: ReaderDep) -> Any:
    return await session.json_one(User, UserRead, email=email)


@app.get("/port")
async def port(session: ReaderDep) -> int:
    """Where this request reads."""
    return int((await session.execute(text("SELECT inet_server_port()"))).scalar_one())
