"""Background tasks with a session of their own."""

import os
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    seen: Mapped[int] = mapped_column(default=0)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


SessionDep = Annotated[Session, Depends(get_db)]


def count_view(event_id: int, by: int = 1) -> None:
    with SessionLocal() as db:
        db.query(Event).filter(Event.id == event_id).update({Event.seen: Event.seen + by})
        db.commit()


class Archive:
    def __init__(self, names: list[str]) -> None:
        self.names = names

    def store(self) -> None:
        db = SessionLocal()
        try:
            db.add_all([Event(name=name) for name in self.names])
            db.commit()
        finally:
            db.close()


def log(message: str) -> None:
    print(message)


@app.post("/events")
def create(names: list[str], tasks: BackgroundTasks):
    tasks.add_task(Archive(names).store)
    tasks.add_task(log, "stored")


@app.get("/events/{event_id}")
def read(event_id: int, tasks: BackgroundTasks, db: SessionDep):
    event = db.get(Event, event_id)
    tasks.add_task(count_view, event_id, by=2)
    return event.seen
