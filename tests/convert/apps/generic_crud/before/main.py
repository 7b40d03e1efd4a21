"""Generic CRUD bases."""

from collections.abc import Generator
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from sqlalchemy.orm import Session

from . import crud
from .models import Base, SessionLocal


def get_db() -> Generator[Session, None, None]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


SessionDep = Annotated[Session, Depends(get_db)]
router = APIRouter(prefix="/notes")


@router.post("", status_code=201)
def create_note(text: str, db: SessionDep, tag: str | None = None):
    found = crud.tag.get_or_create(db, name=tag) if tag else None
    note = crud.note.create(db, obj_in=crud.NoteIn(text=text, tag_id=found.id if found else None))
    return {"id": note.id, "text": note.text}


@router.get("")
def read_notes(db: SessionDep, tag: str | None = None, skip: int = 0, limit: int = 100):
    notes = crud.note.get_multi_by_tag(db, tag=tag) if tag else crud.note.get_multi(db, skip=skip, limit=limit)
    return [{"id": note.id, "text": note.text} for note in notes]


@router.get("/{note_id}")
def read_note(note_id: int, db: SessionDep):
    note = crud.note.get(db, note_id)
    if not note:
        raise HTTPException(status_code=404, detail="Note not found")
    return {"id": note.id, "text": note.text}


@router.delete("/{note_id}")
def delete_note(note_id: int, db: SessionDep):
    if not crud.note.get(db, id=note_id):
        raise HTTPException(status_code=404)
    return {"text": crud.note.remove(db, id=note_id).text}


app = FastAPI()
app.include_router(router)

__all__ = ["Base", "app"]
