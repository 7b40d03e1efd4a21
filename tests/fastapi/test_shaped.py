"""Shaped reads in routes: what the client gets is what FastAPI would have sent."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel, computed_field
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from models import Post, User
from sqlawait import Database
from sqlawait.fastapi import ReaderDep, install
from sqlawait.paging import Page


class PostOut(BaseModel):
    id: int
    title: str


class UserOut(BaseModel):
    email: str
    posts: list[PostOut]


class LoudUser(UserOut):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def loud(self) -> str:
        return self.email.upper()


USERS = select(User).order_by(User.level.desc(), User.email)
LOADED = USERS.options(selectinload(User.posts))


def make_app(db: Database) -> FastAPI:
    app = FastAPI()
    install(app, db)
    for name, schema in (("plain", UserOut), ("loud", LoudUser)):
        add_routes(app, name, schema)
    return app


def add_routes(app: FastAPI, name: str, schema: type[UserOut]) -> None:
    async def ours(session: ReaderDep, cursor: str | None = None) -> Any:
        return await session.json_page(USERS, schema, limit=2, cursor=cursor)

    async def theirs(session: ReaderDep, cursor: str | None = None) -> Any:
        return await session.page(LOADED, limit=2, cursor=cursor)

    async def instances(session: ReaderDep, cursor: str | None = None) -> Any:
        return await session.read_page(USERS, schema, limit=2, cursor=cursor)

    async def listed(session: ReaderDep) -> Any:
        return await session.json_all(USERS, schema)

    async def objects(session: ReaderDep) -> Any:
        return await session.all(LOADED)

    page: Any = Page[schema]  # type: ignore[valid-type]
    for route in (ours, theirs, instances):
        app.get(f"/{name}/{route.__name__}", response_model=page)(route)
    for route in (listed, objects):
        app.get(f"/{name}/{route.__name__}", response_model=list[schema])(route)  # type: ignore[valid-type]


async def test_pages_and_lists_are_what_fastapi_sends(db: Database) -> None:
    """The same bodies, forward and back, whoever writes them; a wrong cursor is a 422."""
    async with db.transaction() as session:
        for number in range(5):
            posts = [Post(title=f"post {number}.{n}") for n in range(number)]
            session.add(User(email=f"{number}@x", level=number % 2, posts=posts))
    app = make_app(db)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for name in ("plain", "loud"):
            listed, objects = [await client.get(f"/{name}/{route}") for route in ("listed", "objects")]
            assert listed.content == objects.content
            cursor: str | None = None
            for _ in range(3):
                query = {} if cursor is None else {"cursor": cursor}
                ours, theirs, instances = [
                    await client.get(f"/{name}/{route}", params=query)
                    for route in ("ours", "theirs", "instances")
                ]
                assert ours.content == theirs.content == instances.content
                assert ours.headers["content-type"] == theirs.headers["content-type"]
                cursor = ours.json()["next"]
            assert cursor is None
            back = {"cursor": ours.json()["previous"]}
            assert (await client.get(f"/{name}/ours", params=back)).json()["items"][0]["email"] == "0@x"
            wrong = await client.get(f"/{name}/ours", params={"cursor": "nonsense"})
            assert wrong.status_code == 422
