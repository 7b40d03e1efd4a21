"""Functions behind decorators of the code base."""

from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import func
from sqlalchemy.orm import Session

from .database import Base as Base
from .database import Coin, get_db
from .wrappers import calls, counted, not_found, transactional, when

app = FastAPI()
SessionDep = Annotated[Session, Depends(get_db)]
NOTES = {"on": False}


@transactional
def put(db, value: int) -> int:
    db.add(Coin(value=value))
    return value


@counted("sum")
def total(db: Session) -> int:
    return db.query(func.sum(Coin.value)).scalar() or 0


@counted("double")
def double(value: int) -> int:
    return value * 2


@when(NOTES)
def note(db: Session) -> None:
    calls.append(f"{db.query(Coin).count()} coins")


@app.post("/coins/{value}")
def add_coin(value: int) -> int:
    return double(put(value))


@app.get("/coins/{coin_id}")
@not_found
def read_coin(coin_id: int, db: SessionDep) -> int:
    coin = db.get(Coin, coin_id)
    if coin is None:
        raise LookupError("no such coin")
    return coin.value


@app.get("/total")
@not_found
def read_total(db: SessionDep) -> dict:
    note(db)
    NOTES["on"] = True
    note(db)
    return {"total": total(db), "calls": calls}
