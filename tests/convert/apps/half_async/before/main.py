"""Routes that are async already and take a sync session, as most do."""

import os

from fastapi import Depends, FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Word(Base):
    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def find(db: Session, text: str) -> Word | None:
    return db.query(Word).filter(Word.text == text).first()


async def require(text: str, db: Session = Depends(get_db)) -> Word:
    word = find(db, text)
    if word is None:
        raise HTTPException(404)
    return word


@app.post("/words/{text}")
async def create(text: str, db: Session = Depends(get_db)):
    if await run_in_threadpool(find, db, text):
        raise HTTPException(409)
    db.add(Word(text=text))
    await run_in_threadpool(db.commit)
    return text


@app.get("/words/{text}")
async def read(word: Word = Depends(require)):
    return word.id


@app.delete("/words/{text}")
async def remove(word: Word = Depends(require), db: Session = Depends(get_db)):
    db.delete(word)
    db.commit()
    return {"left": db.query(Word).count()}
