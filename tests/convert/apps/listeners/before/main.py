"""Listeners on the engine, on sessions and on models."""

import os
import time

from fastapi import Depends, FastAPI
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
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


@event.listens_for(engine, "before_cursor_execute")
def remember(connection, cursor, statement, parameters, context, executemany):
    statements.append(statement)


@event.listens_for(Engine, "before_cursor_execute")
def start_clock(connection, cursor, statement, parameters, context, executemany):
    connection.info["start"] = time.monotonic()


def prepare(connection, record):
    record.info["prepared"] = True


event.listen(engine, "connect", prepare)


@event.listens_for(Page, "before_insert")
def make_slug(mapper, connection, page):
    page.slug = page.title.lower().replace(" ", "-")


@event.listens_for(SessionLocal, "after_flush")
def count_flush(session, context):
    flushes.append(len(session.new))


def get_db():
    with SessionLocal() as db:
        yield db


@app.post("/pages")
def create(title: str, db: Session = Depends(get_db)):
    page = Page(title=title)
    db.add(page)
    db.commit()
    return {"slug": page.slug, "flushes": len(flushes)}


@app.get("/statements")
def seen(db: Session = Depends(get_db)):
    before = len(statements)
    db.query(Page).count()
    connection = db.connection()
    return {"seen": len(statements) - before, "prepared": connection.info.get("prepared", False)}
