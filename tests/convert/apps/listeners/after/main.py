"""Listeners on the engine, on sessions and on models."""

import os
import time

from fastapi import Depends, FastAPI
from sqlalchemy import URL, Engine, event, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker


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
SyncSessionLocal = sessionmaker()
SessionLocal = async_sessionmaker(engine, expire_on_commit=False, sync_session_class=SyncSessionLocal)
app = FastAPI()
statements: list[str] = []
flushes: list[int] = []


class Base(DeclarativeBase):
    pass


class Page(Base):
    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    slug: Mapped[str]


@event.listens_for(engine.sync_engine, "before_cursor_execute")
def remember(connection, cursor, statement, parameters, context, executemany):
    statements.append(statement)


@event.listens_for(Engine, "before_cursor_execute")
def start_clock(connection, cursor, statement, parameters, context, executemany):
    connection.info["start"] = time.monotonic()


def prepare(connection, record):
    record.info["prepared"] = True


event.listen(engine.sync_engine, "connect", prepare)


@event.listens_for(Page, "before_insert")
def make_slug(mapper, connection, page):
    page.slug = page.title.lower().replace(" ", "-")


@event.listens_for(SyncSessionLocal, "after_flush")
def count_flush(session, context):
    flushes.append(len(session.new))


async def get_db():
    async with SessionLocal() as db:
        yield db


@app.post("/pages")
async def create(title: str, db: AsyncSession = Depends(get_db)):
    page = Page(title=title)
    db.add(page)
    await db.commit()
    return {"slug": page.slug, "flushes": len(flushes)}


@app.get("/statements")
async def seen(db: AsyncSession = Depends(get_db)):
    before = len(statements)
    await db.scalar(select(func.count()).select_from(Page))
    connection = await db.connection()
    return {"seen": len(statements) - before, "prepared": connection.info.get("prepared", False)}
