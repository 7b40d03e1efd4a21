"""Override families, chosen at run time."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from .models import Base
from .stores import CheckedStore, MemoryStore, Store


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
memory = MemoryStore()
app = FastAPI()


async def get_db():
    async with SessionLocal() as db:
        yield db


def get_store(kind: str = "database", db: AsyncSession = Depends(get_db)) -> Store:
    return memory if kind == "memory" else CheckedStore(db)


@app.put("/documents/{key}")
async def save(key: str, text: str, store: Store = Depends(get_store)):
    try:
        await store.save(key, text)
    except ValueError:
        raise HTTPException(422) from None


@app.get("/documents/{key}")
async def load(key: str, store: Store = Depends(get_store)):
    return await store.load_or(key, "nothing")


__all__ = ["Base", "app"]
