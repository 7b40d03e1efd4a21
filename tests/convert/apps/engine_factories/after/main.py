import asyncio
import os

import typer
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .databases import (
    SyncLateSession,
    SyncSessionLocal,
    from_cache,
    from_global,
    from_kept,
    from_object,
    from_state,
    from_tuple,
    install,
    make_session_sync,
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


async def store(db: AsyncSession, text: str) -> Note:
    note = Note(text=text)
    db.add(note)
    await db.commit()
    return note


@app.post("/tuple/notes", response_model=NoteOut, status_code=201)
async def by_tuple(text: str, db: AsyncSession = Depends(from_tuple)):
    return await store(db, text)


@app.post("/object/notes", response_model=NoteOut, status_code=201)
async def by_object(text: str, db: AsyncSession = Depends(from_object)):
    return await store(db, text)


@app.post("/cache/notes", response_model=NoteOut, status_code=201)
async def by_cache(text: str, db: AsyncSession = Depends(from_cache)):
    return await store(db, text)


@app.post("/global/notes", response_model=NoteOut, status_code=201)
async def by_global(text: str, db: AsyncSession = Depends(from_global)):
    return await store(db, text)


@app.post("/state/notes", response_model=NoteOut, status_code=201)
async def by_state(text: str, db: AsyncSession = Depends(from_state)):
    return await store(db, text)


@app.post("/kept/notes", response_model=NoteOut, status_code=201)
async def by_kept(text: str, db: AsyncSession = Depends(from_kept)):
    return await store(db, text)


@app.get("/size")
def pool_size():
    return {"size": size()}


@app.get("/notes/{note_id}", response_model=NoteOut)
async def read(note_id: int, db: AsyncSession = Depends(from_tuple)):
    note = (await db.scalars(select(Note).where(Note.id == note_id).limit(1))).first()
    if note is None:
        raise HTTPException(404)
    return note


@cli.command()
def count() -> None:
    """Three ways in, from code that stays sync."""
    with SyncSessionLocal() as db:
        one = db.query(Note).count()
    with SyncLateSession() as db:
        two = db.scalar(select(func.count()).select_from(Note))
    db = make_session_sync(os.environ["DATABASE_URL"])
    three = db.query(Note).count()
    db.close()
    typer.echo(f"{one} {two} {three}")


@app.get("/counted")
async def counted():
    """What the command prints."""
    from typer.testing import CliRunner

    result = await asyncio.to_thread(CliRunner().invoke, cli, [])
    return {"printed": result.output.strip()}
