"""Override families, chosen at run time."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from .models import Base
from .stores import CheckedStore, MemoryStore, Store

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
memory = MemoryStore()
app = FastAPI()


def get_db():
    with SessionLocal() as db:
        yield db


def get_store(kind: str = "database", db: Session = Depends(get_db)) -> Store:
    return memory if kind == "memory" else CheckedStore(db)


@app.put("/documents/{key}")
def save(key: str, text: str, store: Store = Depends(get_store)):
    try:
        store.save(key, text)
    except ValueError:
        raise HTTPException(422) from None


@app.get("/documents/{key}")
def load(key: str, store: Store = Depends(get_store)):
    return store.load_or(key, "nothing")


__all__ = ["Base", "app"]
