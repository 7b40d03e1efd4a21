"""Background tasks with a session of their own."""

import os
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import URL, make_url, update
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


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    seen: Mapped[int] = mapped_column(default=0)


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


SessionDep = Annotated[AsyncSession, Depends(get_db)]


async def count_view(event_id: int, by: int = 1) -> None:
    async with SessionLocal() as db:
        await db.execute(update(Event).where(Event.id == event_id).values({Event.seen: Event.seen + by}))
        await db.commit()


class Archive:
    def __init__(self, names: list[str]) -> None:
        self.names = names

    async def store(self) -> None:
        db = SessionLocal()
        try:
            db.add_all([Event(name=name) for name in self.names])
            await db.commit()
        finally:
            await db.close()


def log(message: str) -> None:
    print(message)


@app.post("/events")
def create(names: list[str], tasks: BackgroundTasks):
    tasks.add_task(Archive(names).store)
    tasks.add_task(log, "stored")


@app.get("/events/{event_id}")
async def read(event_id: int, tasks: BackgroundTasks, db: SessionDep):
    event = await db.get(Event, event_id)
    tasks.add_task(count_view, event_id, by=2)
    return event.seen
