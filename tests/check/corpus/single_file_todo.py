"""The async counterpart, in one file, with its mistakes."""

import asyncio
import os
from typing import Annotated, Optional

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, raiseload, relationship, selectinload

DATABASE_URL = os.getenv("DATABASE_URL", "sqlite+aiosqlite:///todo.db")
engine = create_async_engine(DATABASE_URL)  # ok: SAW204
async_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)  # ok: SAW304
expiring_session = async_sessionmaker(engine, class_=AsyncSession)  # expect: SAW304


class Base(DeclarativeBase):
    id: Mapped[int] = mapped_column(primary_key=True)


class TaskList(Base):
    __tablename__ = "lists"
    name: Mapped[str]
    tasks: Mapped[list["Task"]] = relationship(back_populates="task_list", cascade="all, delete-orphan")


class Task(Base):
    __tablename__ = "tasks"
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    list_id: Mapped[int] = mapped_column(ForeignKey("lists.id"))
    task_list: Mapped["TaskList"] = relationship(back_populates="tasks")


class TaskRead(BaseModel):
    id: int
    title: str

    class Config:
        from_attributes = True


class ListRead(BaseModel):
    id: int
    name: str
    tasks: list[TaskRead]

    class Config:
        from_attributes = True


class ListBrief(BaseModel):
    id: int
    name: str

    class Config:
        orm_mode = True


async def get_db() -> AsyncSession:
    async with async_session() as session:
        yield session
        await session.commit()  # expect: SAW408


async def get_db_scoped():
    async with async_session() as session:
        yield session
        await session.commit()  # ok: SAW408


async def get_db_no_commit():
    async with expiring_session() as session:
        yield session


async def get_db_conditional():
    session = async_session()
    try:
        yield session
        if session.in_transaction():
            await session.commit()  # expect: SAW408
    finally:
        await session.close()


db_dependency = Annotated[AsyncSession, Depends(get_db)]
scoped_dependency = Annotated[AsyncSession, Depends(get_db_scoped, scope="function")]
router = APIRouter(dependencies=[Depends(get_db_conditional)])


@router.get("/lists", response_model=list[ListRead])
async def lists(db: db_dependency):
    result = await db.execute(select(TaskList))
    return result.scalars().all()  # expect: SAW302


@router.get("/lists-loaded", response_model=list[ListRead])
async def lists_loaded(db: db_dependency):
    result = await db.execute(select(TaskList).options(selectinload(TaskList.tasks), raiseload("*")))
    return result.scalars().all()  # ok: SAW302


@router.get("/lists-brief", response_model=list[ListBrief])
async def lists_brief(db: scoped_dependency):
    result = await db.execute(select(TaskList))
    return result.scalars().all()  # ok: SAW302


@router.get("/lists/{list_id}", response_model=Optional[ListRead])
async def read_list(list_id: int, db: db_dependency):
    return await db.get(TaskList, list_id)  # expect: SAW302


@router.get("/lists/{list_id}/orm")
async def read_list_orm(list_id: int, db: db_dependency):
    found = await db.get(TaskList, list_id)
    return ListRead.from_orm(found)  # expect: SAW302


@router.get("/lists/{list_id}/dict")
async def read_list_dict(list_id: int, db: db_dependency):
    found = await db.get(TaskList, list_id)
    if found is None:
        raise HTTPException(404)
    return {"name": found.name, "done": all(task.done for task in found.tasks)}  # expect: SAW301


@router.get("/tasks/{task_id}/list")
async def list_of(task_id: int, db: db_dependency):
    task = await db.get(Task, task_id)
    return {"list": task.task_list.name}  # expect: SAW301


@router.get("/tasks/{task_id}/list-assigned")
async def list_assigned(task_id: int, list_id: int, db: db_dependency):
    task = await db.get(Task, task_id)
    other = await db.get(TaskList, list_id)
    task.task_list = other  # ok: SAW301
    return {"list": task.task_list.name}  # ok: SAW301


@router.post("/tasks")
async def create_task(title: str, list_id: int, db: AsyncSession = Depends(get_db_no_commit)):
    task = Task(title=title, list_id=list_id)
    db.add(task)
    await db.commit()
    print("created", task.title)  # expect: SAW303
    return {"ok": True}


@router.put("/tasks/{task_id}")
async def finish_task(task_id: int, db: AsyncSession = Depends(get_db_no_commit)):
    task = (await db.execute(select(Task).where(Task.id == task_id))).scalar_one()
    task.done = True
    await db.commit()
    if task.done:  # expect: SAW303
        return {"ok": True}
    return {"ok": False}


@router.put("/tasks/{task_id}/kept")
async def finish_task_kept(task_id: int, db: db_dependency):
    task = (await db.execute(select(Task).where(Task.id == task_id))).scalar_one()
    task.done = True
    await db.commit()
    return {"ok": task.done}  # ok: SAW303


@router.put("/tasks/{task_id}/set")
async def set_after_commit(task_id: int, title: str, db: AsyncSession = Depends(get_db_no_commit)):
    task = await db.get_one(Task, task_id)
    task.done = True
    await db.commit()
    task = Task(id=task_id, title=title)
    return {"title": task.title}  # ok: SAW303


def sync_titles(session: Session) -> list[str]:
    return [task.title for row in session.query(TaskList).all() for task in row.tasks]  # ok: SAW301, SAW101, SAW201


@router.get("/titles")
async def titles(db: db_dependency):
    return await db.run_sync(sync_titles)  # ok: SAW102


@router.get("/pair")
async def pair(db: db_dependency):
    lists_, tasks = await asyncio.gather(db.execute(select(TaskList)), db.execute(select(Task)))  # expect: SAW401
    return [len(lists_.all()), len(tasks.all())]


@router.get("/wait")
async def wait(db: db_dependency):
    pending = {
        asyncio.create_task(db.scalar(select(TaskList.id))),  # also: SAW401
        asyncio.create_task(db.scalar(select(Task.id))),  # expect: SAW401
    }
    done, _ = await asyncio.wait(pending)
    return [task.result() for task in done]


app = FastAPI()
app.include_router(router)
