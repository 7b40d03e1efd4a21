"""A whole application in one file, as tutorials have it."""

import time
from contextlib import asynccontextmanager
from typing import Annotated, Iterator

import requests
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, WebSocket
from fastapi.testclient import TestClient
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine, func, text
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, sessionmaker

engine = create_engine("sqlite:///./notes.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()


class Notebook(Base):
    __tablename__ = "notebooks"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    notes = relationship("Note", back_populates="notebook")


class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    text = Column(String)
    notebook_id = Column(Integer, ForeignKey("notebooks.id"))
    notebook = relationship("Notebook", back_populates="notes")


Base.metadata.create_all(bind=engine)  # ok: SAW101, SAW206


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
        db.commit()  # expect: SAW408
    except Exception:
        db.rollback()
        raise
    finally:
        db.close()


def get_plain_db():
    with SessionLocal() as db:
        yield db


async def get_async_plain_db():
    db = SessionLocal()  # ok: SAW403
    try:
        yield db
    finally:
        db.close()  # also: SAW101


class Pagination:
    def __init__(self, limit: Annotated[int, Query(le=100)] = 20, offset: int = 0):
        self.limit = limit
        self.offset = offset


class NoteStore:
    """A dependency that is a class with a session."""

    def __init__(self, db: Session = Depends(get_plain_db)):
        self.db = db

    def all(self, page: Pagination):
        return self.db.query(Note).limit(page.limit).offset(page.offset).all()

    def search(self, word: str):
        return self._matching(word).all()

    def _matching(self, word: str):
        return self.db.query(Note).filter(Note.text.contains(word, autoescape=True))

    def new(self, text_: str) -> Note:
        note = Note(text=text_)
        self.db.add(note)
        return note


@asynccontextmanager
async def lifespan(app: FastAPI):
    db = SessionLocal()
    try:
        if db.query(Notebook).count() == 0:  # expect: SAW101
            db.add(Notebook(name="Default"))  # ok: SAW101
            db.commit()  # expect: SAW101
    finally:
        db.close()  # also: SAW101
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/notes")
async def notes(page: Annotated[Pagination, Depends()], store: Annotated[NoteStore, Depends()]):
    return store.all(page)  # expect: SAW102


@app.get("/notes/search")
async def search(word: str, store: NoteStore = Depends(NoteStore)):
    return store.search(word)  # expect: SAW102


@app.get("/notes/search-sync")
def search_sync(word: str, store: NoteStore = Depends(NoteStore)):
    return store.search(word)  # ok: SAW102


@app.post("/notes")
async def add(text_: str, store: NoteStore = Depends()):
    note = store.new(text_)  # ok: SAW102
    store.db.commit()  # expect: SAW101
    return {"text": note.text}


@app.get("/notebooks/{notebook_id}")
async def notebook(notebook_id: int, db: Session = Depends(get_async_plain_db)):
    found = db.query(Notebook).options(joinedload(Notebook.notes)).get(notebook_id)  # expect: SAW101
    if found is None:
        raise HTTPException(404)
    return {"name": found.name, "notes": len(found.notes)}  # ok: SAW301


@app.get("/notebooks/{notebook_id}/sync")
def notebook_sync(notebook_id: int, db: Session = Depends(get_async_plain_db)):
    found = db.query(Notebook).get(notebook_id)  # ok: SAW101
    return {"name": found.name, "notes": [note.text for note in found.notes]}  # ok: SAW301


@app.put("/notebooks/{notebook_id}")
def rename(notebook_id: int, name: str, db: Session = Depends(get_db)):
    db.query(Notebook).filter_by(id=notebook_id).update({"name": name})  # ok: SAW101
    return {"name": name}


@app.websocket("/count")
async def count(websocket: WebSocket):
    await websocket.accept()
    while True:
        await websocket.receive_text()
        with SessionLocal() as db:  # ok: SAW403
            total = db.scalar(func.count(Note.id))  # expect: SAW101
        await websocket.send_json({"total": total})


@app.exception_handler(RuntimeError)
async def on_error(request, error):
    with engine.begin() as connection:  # expect: SAW101
        connection.execute(text("INSERT INTO errors VALUES ('x')"))  # expect: SAW101
    raise error


@app.middleware("http")
async def log(request, call_next):
    started = time.perf_counter()  # ok: SAW104
    response = await call_next(request)
    record(request.url.path, time.perf_counter() - started)  # expect: SAW102
    return response


def record(path: str, seconds: float) -> None:
    with SessionLocal() as db:
        db.execute(text("INSERT INTO timings VALUES (:path, :seconds)"), {"path": path, "seconds": seconds})
        db.commit()


@app.post("/sync-remote")
def sync_remote(tasks: BackgroundTasks):
    tasks.add_task(pull)  # ok: SAW103
    return {}


def pull() -> None:
    payload = requests.get("https://notes.example").json()  # ok: SAW104
    with SessionLocal() as db:
        db.add_all([Note(text=line) for line in payload])
        db.commit()  # ok: SAW101


async def pull_async() -> None:
    pull()  # expect: SAW102, SAW103


@app.post("/sync-remote-async")
async def sync_remote_async(tasks: BackgroundTasks):
    tasks.add_task(pull_async)  # ok: SAW102, SAW103
    return {}


def test_notes() -> None:
    with TestClient(app) as client:
        assert client.get("/notes").status_code == 200  # ok: SAW103


if __name__ == "__main__":
    uvicorn.run(app)
