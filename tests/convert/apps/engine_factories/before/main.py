import asyncio
import os

import typer
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .databases import (
    LateSession,
    SessionLocal,
    from_cache,
    from_global,
    from_kept,
    from_object,
    from_state,
    from_tuple,
    install,
    make_session,
    size,
)
from .models import Base, Note

app = FastAPI()
install(app)
cli = typer.Typer()


class NoteOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    text: str


def store(db: Session, text: str) -> Note:
    note = Note(text=text)
    db.add(note)
    db.commit()
    return note


@app.post("/tuple/notes", response_model=NoteOut, status_code=201)
def by_tuple(text: str, db: Session = Depends(from_tuple)):
    return store(db, text)


@app.post("/object/notes", response_model=NoteOut, status_code=201)
def by_object(text: str, db: Session = Depends(from_object)):
    return store(db, text)


@app.post("/cache/notes", response_model=NoteOut, status_code=201)
def by_cache(text: str, db: Session = Depends(from_cache)):
    return store(db, text)


@app.post("/global/notes", response_model=NoteOut, status_code=201)
def by_global(text: str, db: Session = Depends(from_global)):
    return store(db, text)


@app.post("/state/notes", response_model=NoteOut, status_code=201)
def by_state(text: str, db: Session = Depends(from_state)):
    return store(db, text)


@app.post("/kept/notes", response_model=NoteOut, status_code=201)
def by_kept(text: str, db: Session = Depends(from_kept)):
    return store(db, text)


@app.get("/size")
def pool_size():
    return {"size": size()}


@app.get("/notes/{note_id}", response_model=NoteOut)
def read(note_id: int, db: Session = Depends(from_tuple)):
    note = db.query(Note).filter(Note.id == note_id).first()
    if note is None:
        raise HTTPException(404)
    return note


@cli.command()
def count() -> None:
    """Three ways in, from code that stays sync."""
    with SessionLocal() as db:
        one = db.query(Note).count()
    with LateSession() as db:
        two = db.scalar(select(func.count()).select_from(Note))
    db = make_session(os.environ["DATABASE_URL"])
    three = db.query(Note).count()
    db.close()
    typer.echo(f"{one} {two} {three}")


@app.get("/counted")
async def counted():
    """What the command prints."""
    from typer.testing import CliRunner

    result = await asyncio.to_thread(CliRunner().invoke, cli, [])
    return {"printed": result.output.strip()}
