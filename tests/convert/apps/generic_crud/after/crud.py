"""One class for the tables, as the templates have it."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Base, Note, Tag

ModelType = TypeVar("ModelType", bound=Base)
CreateType = TypeVar("CreateType", bound=BaseModel)


class CRUDBase(Generic[ModelType, CreateType]):
    def __init__(self, model: type[ModelType]):
        self.model = model

    async def get(self, db: AsyncSession, id: Any) -> ModelType | None:
        return (await db.scalars(select(self.model).where(self.model.id == id).limit(1))).first()

    async def get_multi(self, db: AsyncSession, *, skip: int = 0, limit: int = 100) -> list[ModelType]:
        return (await db.scalars(select(self.model).order_by(self.model.id).offset(skip).limit(limit))).all()

    async def create(self, db: AsyncSession, *, obj_in: CreateType) -> ModelType:
        db_obj = self.model(**obj_in.model_dump())
        db.add(db_obj)
        await db.commit()
        await db.refresh(db_obj)
        return db_obj

    async def remove(self, db: AsyncSession, *, id: int) -> ModelType:
        obj = await db.get(self.model, id)
        await db.delete(obj)
        await db.commit()
        return obj


class NoteIn(BaseModel):
    text: str
    tag_id: int | None = None


class TagIn(BaseModel):
    name: str


class CRUDNote(CRUDBase[Note, NoteIn]):
    async def get_multi_by_tag(self, db: AsyncSession, *, tag: str) -> list[Note]:
        return (await db.scalars(select(self.model).join(Tag, Tag.id == Note.tag_id).where(Tag.name == tag))).unique().all()


class CRUDTag(CRUDBase[Tag, TagIn]):
    async def get_or_create(self, db: AsyncSession, *, name: str) -> Tag:
        found = (await db.scalars(select(Tag).filter_by(name=name))).one_or_none()
        return found or await self.create(db, obj_in=TagIn(name=name))


note = CRUDNote(Note)
tag = CRUDTag(Tag)
