"""Objects that find the session they are in."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import URL, ForeignKey, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_object_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {"postgresql": "psycopg", "sqlite": "aiosqlite", "mysql": "asyncmy", "mariadb": "asyncmy"}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

    async def lines(self) -> list["Line"]:
        return (await async_object_session(self).scalars(select(Line).where(Line.order_id == self.id).order_by(Line.id))).all()

    async def close(self) -> None:
        db = async_object_session(self)
        self.state = "closed"
        db.add(Line(order_id=self.id, text="closed"))
        await db.flush()


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    text: Mapped[str]


async def get_db():
    async with SessionLocal() as db:
        yield db


@app.post("/orders")
async def create(texts: list[str], db: AsyncSession = Depends(get_db)):
    order = Order(state="open")
    db.add(order)
    await db.flush()
    db.add_all([Line(order_id=order.id, text=text) for text in texts])
    await db.commit()
    return order.id


@app.post("/orders/{order_id}/close")
async def close(order_id: int, db: AsyncSession = Depends(get_db)):
    order = await db.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    await order.close()
    await db.commit()
    return {"state": order.state, "lines": [line.text for line in await order.lines()]}
