"""A generic repository on a sync session and one on an async session."""

from collections.abc import Sequence
from typing import Any, Generic, Optional, TypeVar

from sqlmodel import Session, SQLModel, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

ModelT = TypeVar("ModelT", bound=SQLModel)


class CRUDBase(Generic[ModelT]):
    def __init__(self, model: type[ModelT]):
        self.model = model

    def get(self, db: Session, id: Any) -> Optional[ModelT]:
        return db.get(self.model, id)

    def get_multi(self, db: Session, *, skip: int = 0, limit: int = 100) -> Sequence[ModelT]:
        return db.exec(select(self.model).offset(skip).limit(limit)).all()

    def create(self, db: Session, *, obj_in: SQLModel) -> ModelT:
        obj = self.model.model_validate(obj_in)
        db.add(obj)
        db.commit()
        db.refresh(obj)
        return obj

    def build(self, obj_in: SQLModel) -> ModelT:
        return self.model.model_validate(obj_in)


class AsyncRepository(Generic[ModelT]):
    model: type[ModelT]

    def __init__(self, session: AsyncSession):
        self.session = session

    async def get(self, id: int) -> Optional[ModelT]:
        return await self.session.get(self.model, id)

    async def list(self, limit: int = 100) -> Sequence[ModelT]:
        return (await self.session.exec(select(self.model).limit(limit))).all()

    async def count(self) -> int:
        return (await self.session.exec(select(func.count()).select_from(self.model))).one()

    async def add(self, obj: ModelT) -> ModelT:
        self.session.add(obj)
        await self.session.flush()
        return obj

    def stage(self, obj: ModelT) -> None:
        self.session.add(obj)  # ok: SAW202
