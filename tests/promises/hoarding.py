"""An export as the tutorials write it: all rows are loaded, then sent."""

from __future__ import annotations

import os

from fastapi import FastAPI
from sqlalchemy import select

from sqlawait import Database
from sqlawait.fastapi import SessionDep, install
from sqlawait.service.models import User
from sqlawait.service.schemas import UserRead


def app() -> FastAPI:
    """The application, on the database of ``DATABASE_URL``."""
    app = FastAPI()
    install(app, Database(os.environ["DATABASE_URL"]))

    @app.get("/users/export")
    async def export(session: SessionDep) -> list[UserRead]:
        return [UserRead.model_validate(user) for user in await session.scalars(select(User))]

    return app
