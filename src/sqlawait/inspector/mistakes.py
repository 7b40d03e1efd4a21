"""One route a mistake, to see what the guards and the page make of it: ``sqlawait serve --demo-mistakes``.

The mistakes are made on a small SQLite file of their own, never on the application's database.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from sqlalchemy import Engine, ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from sqlawait.database import Database

PREFIX = "/mistakes"


class Base(DeclarativeBase):
    """The mistakes' own tables."""


class Author(Base):
    """Has books."""

    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    books: Mapped[list[Book]] = relationship(back_populates="author")


class Book(Base):
    """Has an author."""

    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")


class _Desk:
    """The databases of the mistakes: one as it should be, and a blocking engine on the same file."""

    def __init__(self, folder: Path) -> None:
        file = folder / "mistakes.db"
        self.db = Database(f"sqlite:///{file}", pool_size=5)
        self.blocking: Engine = create_engine(f"sqlite:///{file}")
        self.kept: list[Any] = []


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory(prefix="sqlawait-mistakes-") as folder:
        desk = app.state.mistakes = _Desk(Path(folder))
        async with desk.db as db:
            await db.create_all(Base.metadata)
            async with db.transaction() as session:
                for number in range(1, 13):
                    books = [Book(title=f"Volume {volume}") for volume in range(1, 4)]
                    session.add(Author(name=f"Author {number}", books=books))
            yield
            for session in desk.kept:
                await session.close()
            desk.blocking.dispose()


def _desk(request: Request) -> _Desk:
    desk: _Desk = request.app.state.mistakes
    return desk


router = APIRouter(prefix=PREFIX, tags=["mistakes"], lifespan=_lifespan)


@router.get("")
async def index() -> dict[str, str]:
    """The mistakes, and what each does wrong."""
    return {f"{PREFIX}/{name}": what for name, what in MISTAKES.items()}


@router.get("/lazy-load")
async def lazy_load(request: Request) -> int:
    """A relationship is touched that the select did not load."""
    async with _desk(request).db.session(read_only=True) as session:
        author = await session.one(select(Author).where(Author.id == 1))
        return len(author.books)


@router.get("/n-plus-one")
async def n_plus_one(request: Request) -> list[str]:
    """One select for the list, and one more for each of its rows."""
    async with _desk(request).db.session(read_only=True) as session:
        books = await session.all(select(Book).where(Book.title == "Volume 1"))
        names = []
        for book in books:
            author = await session.one(select(Author).where(Author.id == book.author_id))
            names.append(f"{book.title} by {author.name}")
        return names


@router.get("/n-plus-one-lazy")
async def n_plus_one_lazy(request: Request) -> int:
    """The same by lazy loading, in a thread where that works, one row at a time."""

    def count(session: Session) -> int:
        return sum(len(author.books) for author in session.scalars(select(Author)))

    return await _desk(request).db.run_sync(count)


@router.get("/shared-session")
async def shared_session(request: Request) -> int:
    """Two statements at once on one session."""
    async with _desk(request).db.session(read_only=True) as session:
        await session.connection()
        authors, books = await asyncio.gather(
            session.scalars(select(Author)), session.scalars(select(Book)), return_exceptions=True
        )
        for outcome in (authors, books):
            if isinstance(outcome, BaseException):
                raise outcome
        return 0


@router.get("/blocking-database")
async def blocking_database(request: Request) -> int:
    """A blocking session in an async route."""
    with Session(_desk(request).blocking) as session:
        return len(session.scalars(select(Author)).all())


@router.get("/blocking-call")
async def blocking_call() -> str:
    """A blocking call in an async route: every other request waits."""
    time.sleep(0.25)  # noqa: ASYNC251 # the mistake
    return "late"


@router.get("/leaked-connection")
async def leaked_connection(request: Request) -> int:
    """A session that nobody closes."""
    desk = _desk(request)
    if len(desk.kept) == desk.db.pool_size - 2:  # the demo shall not run dry
        await desk.kept.pop(0).close()
    session = desk.db.session(read_only=True)
    desk.kept.append(session)
    return await session.count(Author)


@router.get("/held-connection")
async def held_connection(request: Request) -> int:
    """A connection is held while the request waits for something else."""
    async with _desk(request).db.session(read_only=True) as session:
        count = await session.count(Author)
        await asyncio.sleep(2)
        return count


MISTAKES = {
    route.__name__.replace("_", "-"): route.__doc__ or ""
    for route in (
        lazy_load,
        n_plus_one,
        n_plus_one_lazy,
        shared_session,
        blocking_database,
        blocking_call,
        leaked_connection,
        held_connection,
    )
}

__all__ = ["MISTAKES", "PREFIX", "router"]
