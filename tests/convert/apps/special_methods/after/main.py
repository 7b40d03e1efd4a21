"""Queries in ``__init__``, in properties and in other special methods."""

from abc import ABC
import os

from fastapi import Depends, FastAPI
from sqlalchemy import URL, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
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


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


async def get_db():
    async with SessionLocal() as db:
        yield db


class Prices:
    """Reads them once, when it is made."""

    @classmethod
    async def create(cls, db: AsyncSession, *, above: int = 0):
        self = cls.__new__(cls)
        self.db = db
        self.items = (await db.scalars(select(Item).where(Item.price > above).order_by(Item.id))).all()
        if not self.items:
            self.highest = None
            return self
        self.highest = max(item.price for item in self.items)
        return self

    def names(self) -> list[str]:
        return [item.name for item in self.items]


class Dashboard(ABC):
    """A dependency by its class."""

    @classmethod
    async def create(cls, above: int = 0, db: AsyncSession = Depends(get_db)):
        self = cls.__new__(cls)
        self.db = db
        self.count = await db.scalar(select(func.count()).select_from(Item).where(Item.price > above))
        return self

    @property
    async def total(self) -> int:
        return sum(price for (price,) in await self.db.execute(select(Item.price)))

    @property
    async def average(self) -> float:
        return await self.total / self.count


class Catalogue:
    def __init__(self, db: AsyncSession):
        self.db = db

    async def length(self) -> int:
        return await self.db.scalar(select(func.count()).select_from(Item))

    async def contains(self, name: str) -> bool:
        return (await self.db.scalars(select(Item).where(Item.name == name).limit(1))).first() is not None

    async def get_item(self, item_id: int) -> Item:
        item = await self.db.get(Item, item_id)
        if item is None:
            raise KeyError(item_id)
        return item

    async def __aiter__(self):
        for item in await self.db.scalars(select(Item).order_by(Item.id)):
            yield item

    async def __call__(self, above: int) -> list[str]:
        return [name for (name,) in await self.db.execute(select(Item.name).where(Item.price > above))]


@app.get("/prices")
async def prices(above: int = 0, db: AsyncSession = Depends(get_db)):
    found = await Prices.create(db, above=above)
    return {"highest": found.highest, "names": found.names(), "all": (await Prices.create(db)).names()}


@app.get("/dashboard")
async def dashboard(board: Dashboard = Depends(Dashboard.create)):
    return {"count": board.count, "total": await board.total, "average": await board.average}


@app.get("/short")
def short(board: Dashboard = Depends(Dashboard.create)):
    return board.count


@app.get("/catalogue")
async def catalogue(name: str, db: AsyncSession = Depends(get_db)):
    items = Catalogue(db)
    return {
        "size": await items.length(),
        "known": await items.contains(name),
        "unknown": not await items.contains(name),
        "second": (await items.get_item(2)).name,
        "names": [item.name async for item in items],
        "dear": await items(5),
    }
