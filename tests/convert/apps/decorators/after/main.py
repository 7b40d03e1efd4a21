"""Functions behind decorators of the code base."""

from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Base as Base
from .database import Coin, get_db
from .wrappers import calls, counted, not_found, transactional, when

app = FastAPI()
SessionDep = Annotated[AsyncSession, Depends(get_db)]
NOTES = {"on": False}


@transactional
async def put(db, value: int) -> int:
    db.add(Coin(value=value))
    return value


@counted("sum")
async def total(db: AsyncSession) -> int:
    return await db.scalar(select(func.sum(Coin.value))) or 0


@counted("double")
def double(value: int) -> int:
    return value * 2


@when(NOTES)
async def note(db: AsyncSession) -> None:
    calls.append(f"{await db.scalar(select(func.count()).select_from(Coin))} coins")


@app.post("/coins/{value}")
async def add_coin(value: int) -> int:
    return double(await put(value))


@app.get("/coins/{coin_id}")
@not_found
async def read_coin(coin_id: int, db: SessionDep) -> int:
    coin = await db.get(Coin, coin_id)
    if coin is None:
        raise LookupError("no such coin")
    return coin.value


@app.get("/total")
@not_found
async def read_total(db: SessionDep) -> dict:
    await note(db)
    NOTES["on"] = True
    await note(db)
    return {"total": await total(db), "calls": calls}
