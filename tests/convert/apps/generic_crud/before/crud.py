"""One class for the tables, as the templates have it."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy.orm import Session

from .models import Base, Note, Tag

ModelType = TypeVar("ModelType", bound=Base)
CreateType = TypeVar("CreateType", bound=BaseModel)


class CRUDBase(Generic[ModelType, CreateType]):
    def __init__(self, model: type[ModelType]):
        self.model = model

    def get(self, db: Session, id: Any) -> ModelType | None:
        return db.query(self.model).filter(self.model.id == id).first()

    def get_multi(self, db: Session, *, skip: int = 0, limit: int = 100) -> list[ModelType]:
        return db.query(self.model).order_by(self.model.id).offset(skip).limit(limit).all()

    def create(self, db: Session, *, obj_in: CreateType) -> ModelType:
        db_obj = self.model(**obj_in.model_dump())
        db.add(db_obj)
        db.commit()
        db.refresh(db_obj)
        return db_obj

    def remove(self, db: Session, *, id: int) -> ModelType:
        obj = db.query(self.model).get(id)
        db.delete(obj)
        db.commit()
        return obj


class NoteIn(BaseModel):
    text: str
    tag_id: int | None = None


class TagIn(BaseModel):
    name: str


class CRUDNote(CRUDBase[Note, NoteIn]):
    def get_multi_by_tag(self, db: Session, *, tag: str) -> list[Note]:
        return db.query(self.model).join(Tag, Tag.id == Note.tag_id).filter(Tag.name == tag).all()


class CRUDTag(CRUDBase[Tag, TagIn]):
    def get_or_create(self, db: Session, *, name: str) -> Tag:
        found = db.query(Tag).filter_by(name=name).one_or_none()
        return found or self.create(db, obj_in=TagIn(name=name))


note = CRUDNote(Note)
tag = CRUDTag(Tag)
