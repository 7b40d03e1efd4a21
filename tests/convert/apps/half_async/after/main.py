"""Routes that are async already and take a sync session, as most do."""

import os

from fastapi import Depends, FastAPI, HTTPException
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


class Word(Base):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


async def find(db: AsyncSession, text: str) -> Word | None:
    return (await db.scalars(select(Word).where(Word.text == text).limit(1))).first()


async def require(text: str, db: AsyncSession = Depends(get_db)) -> Word:
    word = await find(db, text)
    if word is None:
        raise HTTPException(404)
    return word


@app.post("/words/{text}")
async def create(text: str, db: AsyncSession = Depends(get_db)):
    if await find(db, text):
        raise HTTPException(409)
    db.add(Word(text=text))
    await db.commit()
    return text


@app.get("/words/{text}")
async def read(word: Word = Depends(require)):
    return word.id


@app.delete("/words/{text}")
async def remove(word: Word = Depends(require), db: AsyncSession = Depends(get_db)):
    await db.delete(word)
    await db.commit()
    return {"left": await db.scalar(select(func.count()).select_from(Word))}
