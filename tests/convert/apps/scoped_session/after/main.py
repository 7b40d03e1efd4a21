"""A registry of sessions, as those who come from Flask have it."""

import os
from asyncio import current_task

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import URL, make_url, select
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine
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
db_session = async_scoped_session(async_sessionmaker(autocommit=False, autoflush=False, bind=engine, expire_on_commit=False), scopefunc=current_task)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Task(Base):
    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)


async def clean_up():
    try:
        yield
    finally:
        await db_session.remove()


@app.post("/tasks", dependencies=[Depends(clean_up)])
async def create(title: str):
    task = Task(title=title)
    db_session.add(task)
    await db_session.commit()
    return task.id


@app.post("/tasks/{task_id}/done", dependencies=[Depends(clean_up)])
async def finish(task_id: int):
    task = (await db_session.scalars(select(Task).filter_by(id=task_id).limit(1))).first()
    if task is None:
        raise HTTPException(404)
    task.done = True
    await db_session.commit()
    return task.title


@app.get("/tasks", dependencies=[Depends(clean_up)])
async def pending():
    return [task.title for task in (await db_session.scalars(select(Task).where(~Task.done).order_by(Task.id))).all()]
