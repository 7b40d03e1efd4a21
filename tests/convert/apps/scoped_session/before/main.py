"""A registry of sessions, as those who come from Flask have it."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
db_session = scoped_session(sessionmaker(autocommit=False, autoflush=False, bind=engine))
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Task(Base):
    __tablename__ = "tasks"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)


def clean_up():
    try:
        yield
    finally:
        db_session.remove()


@app.post("/tasks", dependencies=[Depends(clean_up)])
def create(title: str):
    task = Task(title=title)
    db_session.add(task)
    db_session.commit()
    return task.id


@app.post("/tasks/{task_id}/done", dependencies=[Depends(clean_up)])
def finish(task_id: int):
    task = db_session.query(Task).filter_by(id=task_id).first()
    if task is None:
        raise HTTPException(404)
    task.done = True
    db_session.commit()
    return task.title


@app.get("/tasks", dependencies=[Depends(clean_up)])
def pending():
    return [task.title for task in db_session.query(Task).filter(~Task.done).order_by(Task.id).all()]
