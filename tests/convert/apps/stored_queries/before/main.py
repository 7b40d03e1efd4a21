"""Queries that are stored, refined in branches, returned, passed on, iterated and sliced."""

import os
from collections.abc import Iterator

from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Query, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
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


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def books(db: Session) -> Query[Book]:
    return db.query(Book).order_by(Book.id)


def long(query: Query[Book], pages: int) -> Query[Book]:
    """Only the long ones."""
    return query.filter(Book.pages >= pages)


@app.get("/books")
def list_books(
    title: str | None = None,
    author: str | None = None,
    pages: int | None = None,
    skip: int = 0,
    limit: int = 10,
    db: Session = Depends(get_db),
):
    query = books(db)
    if title:
        query = query.filter(Book.title.like(f"%{title}%"))  # a part of it
    if author is not None:
        query = query.join(Author, Author.id == Book.author_id)
        query = query.filter(Author.name == author)
    if pages:
        query = long(query, pages)
    total = query.count()
    return {"total": total, "books": [book.title for book in query.offset(skip).limit(limit).all()]}


@app.get("/books/walked")
def walk_books(db: Session = Depends(get_db)):
    titles = []
    for book in books(db):
        titles.append(book.title)
    return titles


@app.get("/books/sliced")
def slice_books(start: int, stop: int, db: Session = Depends(get_db)):
    return [book.title for book in books(db)[start:stop]]


@app.get("/books/by-author")
def by_author(db: Session = Depends(get_db)):
    return {
        author.name: [book.title for book in books(db).filter_by(author_id=author.id)]
        for author in db.query(Author).order_by(Author.name)
    }


@app.get("/books/longest")
def longest(db: Session = Depends(get_db)):
    query = books(db).order_by(None).order_by(Book.pages.desc())
    best = query.first()
    return best.title if best else None


@app.get("/books/known")
def known(title: str, db: Session = Depends(get_db)):
    matching = db.query(Book).filter(Book.title == title)
    return {"known": db.query(matching.exists()).scalar(), "one": matching.one_or_none() is not None}
