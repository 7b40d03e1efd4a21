"""Applications that die once, by kill -9, between the COMMIT of a transfer and its answer.

``DATABASE_URL`` says on which database; at ``MORTAL`` a file is made by the one that dies.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from promises.bank import careful_app
from sqlawait import Database
from sqlawait.fastapi import DatabaseDep, install
from sqlawait.service import crud
from sqlawait.service.models import Answer
from sqlawait.service.schemas import TransferCreate


def die_once() -> None:
    """End this process, unless one has done so already."""
    try:
        Path(os.environ["MORTAL"]).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class DieBeforeTheAnswer:
    """ASGI middleware: whoever first has a transfer to answer dies of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mortal(message: Message) -> None:
            if scope["type"] == "http" and scope["path"] == "/transfers":
                die_once()
            await send(message)

        await self.app(scope, receive, mortal)


def careful() -> FastAPI:
    """The service's own route."""
    app = careful_app(Database(os.environ["DATABASE_URL"]))
    app.add_middleware(DieBeforeTheAnswer)
    return app


def naive() -> FastAPI:
    """The route as the tutorials write it: the work is committed, then its key is remembered."""
    app = FastAPI()
    install(app, Database(os.environ["DATABASE_URL"]))

    @app.post("/transfers", status_code=201)
    async def transfer(
        body: TransferCreate, db: DatabaseDep, key: Annotated[str, Header(alias="Idempotency-Key")]
    ) -> dict[str, Any]:
        async with db.session() as session:
            done = await session.get(Answer, key)
            if done is not None:
                answer: dict[str, Any] = json.loads(done.body)
                return answer
        async with db.transaction() as session:
            answer = {"id": (await crud.transfer(session, body)).id}
        die_once()
        async with db.transaction() as session:
            await session.create(Answer, key=key, fingerprint="", status=201, body=json.dumps(answer))
        return answer

    return app
