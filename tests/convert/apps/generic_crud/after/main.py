"""Generic CRUD bases."""

from collections.abc import AsyncGenerator, Generator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from . import crud
from .models import Base, SessionLocal


async def get_db() -> AsyncGenerator[AsyncSession, None]:
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


SessionDep = Annotated[AsyncSession, Depends(get_db)]
router = APIRouter(prefix="/notes")


@router.post("", status_code=201)
async def create_note(text: str, db: SessionDep, tag: str | None = None):
    found = await crud.tag.get_or_create(db, name=tag) if tag else None
    note = await crud.note.create(db, obj_in=crud.NoteIn(text=text, tag_id=found.id if found else None))
    return {"id": note.id, "text": note.text}


@router.get("")
async def read_notes(db: SessionDep, tag: str | None = None, skip: int = 0, limit: int = 100):
    notes = await crud.note.get_multi_by_tag(db, tag=tag) if tag else await crud.note.get_multi(db, skip=skip, limit=limit)
    return [{"id": note.id, "text": note.text} for note in notes]


@router.get("/{note_id}")
async def read_note(note_id: int, db: SessionDep):
    note = await crud.note.get(db, note_id)
    if not note:
        raise HTTPException(status_code=404, detail="Note not found")
    return {"id": note.id, "text": note.text}


@router.delete("/{note_id}")
async def delete_note(note_id: int, db: SessionDep):
    if not await crud.note.get(db, id=note_id):
        raise HTTPException(status_code=404)
    return {"text": (await crud.note.remove(db, id=note_id)).text}


app = FastAPI()
app.include_router(router)

__all__ = ["Base", "app"]
