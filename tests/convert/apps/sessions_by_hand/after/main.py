"""Sessions that nobody injects: in a ``with``, by hand with close, by ``next(get_db())``."""

import os
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from sqlalchemy import URL, delete, make_url, select, text
from sqlalchemy.exc import IntegrityError
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
SessionLocal = async_sessionmaker(bind=engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Setting(Base):
    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with engine.begin() as schema_connection:
        await schema_connection.run_sync(Base.metadata.create_all)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


@asynccontextmanager
async def session_scope():
    """A transaction around a few statements."""
    session = SessionLocal()
    try:
        yield session
        await session.commit()
    except:
        await session.rollback()
        raise
    finally:
        await session.close()


@app.get("/settings/{key}")
async def read(key: str):
    async with SessionLocal() as db:
        setting = await db.get(Setting, key)
        if setting is None:
            raise HTTPException(404)
        return setting.value


@app.put("/settings/{key}")
async def write(key: str, value: str):
    async with SessionLocal.begin() as db:
        await db.merge(Setting(key=key, value=value))
    return {"key": key, "value": value}


@app.post("/settings/{key}")
async def add(key: str, value: str):
    try:
        async with session_scope() as session:
            session.add(Setting(key=key, value=value))
    except IntegrityError:
        raise HTTPException(409) from None
    return {"key": key, "value": value}


@app.get("/settings")
async def keys():
    async with asynccontextmanager(get_db)() as db:
        return [setting.key for setting in (await db.scalars(select(Setting).order_by(Setting.key))).all()]


@app.delete("/settings")
async def clear():
    session = AsyncSession(engine, expire_on_commit=False)
    try:
        deleted = (await session.execute(delete(Setting))).rowcount
        await session.commit()
    finally:
        await session.close()
    return deleted


@app.get("/health")
async def health():
    async with engine.begin() as connection:
        return (await connection.execute(text("SELECT 1"))).scalar()
