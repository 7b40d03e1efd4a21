"""A service in twenty lines: `uvicorn shop:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Numeric, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlawait import Database
from sqlawait.fastapi import ReaderDep, SessionDep, install


class Base(DeclarativeBase): ...


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))


class ItemIn(BaseModel):
    name: str
    price: Decimal


class ItemOut(ItemIn):
    id: int


db = Database("sqlite:///shop.db")  # or postgresql://…, mysql://…: completed to the async driver


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await db.create_all(Base.metadata)  # for a first try; later, migrations
    yield


app = FastAPI(lifespan=lifespan)
install(app, db)  # opens and closes the database, maps its errors, limits bodies


@app.post("/items", status_code=201, response_model=ItemOut)
async def create_item(body: ItemIn, session: SessionDep) -> Item:
    return await session.create(Item, **body.model_dump())  # committed before the 201 is sent


@app.get("/items/{item_id}", response_model=ItemOut)
async def read_item(item_id: int, session: ReaderDep) -> Item:
    return await session.one(select(Item).where(Item.id == item_id))  # none: a 404
