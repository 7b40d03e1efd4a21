"""Queries that are stored, refined in branches, returned, passed on, iterated and sliced."""

import os
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from sqlalchemy import URL, ForeignKey, Select, func, make_url, select
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


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    pages: Mapped[int]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))


async def get_db() -> AsyncIterator[AsyncSession]:
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


def books(db: AsyncSession) -> Select[Book]:
    return select(Book).order_by(Book.id)


def long(query: Select[Book], pages: int) -> Select[Book]:
    """Only the long ones."""
    return query.where(Book.pages >= pages)


@app.get("/books")
async def list_books(
    title: str | None = None,
    author: str | None = None,
    pages: int | None = None,
    skip: int = 0,
    limit: int = 10,
    db: AsyncSession = Depends(get_db),
):
    query = books(db)
    if title:
        query = query.where(Book.title.like(f"%{title}%"))  # a part of it
    if author is not None:
        query = query.join(Author, Author.id == Book.author_id)
        query = query.where(Author.name == author)
    if pages:
        query = long(query, pages)
    total = await db.scalar(select(func.count()).select_from(query.subquery()))
    return {"total": total, "books": [book.title for book in (await db.scalars(query.offset(skip).limit(limit))).unique().all()]}


@app.get("/books/walked")
async def walk_books(db: AsyncSession = Depends(get_db)):
    titles = []
    for book in await db.scalars(books(db)):
        titles.append(book.title)
    return titles


@app.get("/books/sliced")
async def slice_books(start: int, stop: int, db: AsyncSession = Depends(get_db)):
    return [book.title for book in (await db.scalars(books(db).slice(start, stop))).all()]


@app.get("/books/by-author")
async def by_author(db: AsyncSession = Depends(get_db)):
    return {
        author.name: [book.title for book in await db.scalars(books(db).filter_by(author_id=author.id))]
        for author in await db.scalars(select(Author).order_by(Author.name))
    }


@app.get("/books/longest")
async def longest(db: AsyncSession = Depends(get_db)):
    query = books(db).order_by(None).order_by(Book.pages.desc())
    best = (await db.scalars(query.limit(1))).first()
    return best.title if best else None


@app.get("/books/known")
async def known(title: str, db: AsyncSession = Depends(get_db)):
    matching = select(Book).where(Book.title == title)
    return {"known": await db.scalar(select(matching.exists())), "one": (await db.scalars(matching)).one_or_none() is not None}
