import os

from sqlalchemy import URL, make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
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


class Base(DeclarativeBase):
    pass


class Coin(Base):
    __tablename__ = "coins"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


async def get_db():
    async with SessionLocal() as db:
        yield db
