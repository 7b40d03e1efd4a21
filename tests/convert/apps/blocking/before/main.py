"""Calls that block for another reason than the database, in routes that had a thread each."""

import hashlib
import io
import os
import shutil
import smtplib
import time
from email.message import EmailMessage
from pathlib import Path

import requests
from fastapi import Body, Depends, FastAPI, HTTPException
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    hashed: Mapped[str]
    photo: Mapped[str | None]


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def get_password_hash(password: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1000).hex()


def verify_password(password: str, hashed: str) -> bool:
    return get_password_hash(password) == hashed


def authenticate(db: Session, name: str, password: str) -> User | None:
    user = db.query(User).filter(User.name == name).first()
    if not user or not verify_password(password, user.hashed):
        return None
    return user


@app.post("/users")
def create_user(name: str, password: str, db: Session = Depends(get_db)):
    user = User(name=name, hashed=get_password_hash(password))
    db.add(user)
    db.commit()
    return user.id


@app.post("/login")
def login(name: str, password: str, db: Session = Depends(get_db)):
    user = authenticate(db, name, password)
    if user is None:
        time.sleep(0.01)
        raise HTTPException(401)
    return user.name


@app.post("/users/{user_id}/photo")
def upload(user_id: int, data: str = Body(), db: Session = Depends(get_db)):
    user = db.get(User, user_id)
    path = Path(os.environ["PHOTOS"]) / f"{user_id}.png"
    with path.open("wb") as target:
        shutil.copyfileobj(io.BytesIO(data.encode()), target)
    user.photo = str(path)
    db.commit()
    with open(path, "rb") as photo:
        return len(photo.read())


@app.post("/users/{user_id}/notify")
def notify(user_id: int, port: int, db: Session = Depends(get_db)):
    user = db.query(User).get(user_id)
    answer = requests.get(f"http://127.0.0.1:{port}/{user.name}", timeout=5).json()
    return answer["greeting"]


@app.post("/users/{user_id}/mail")
def mail(user_id: int, port: int, db: Session = Depends(get_db)):
    user = db.query(User).get(user_id)
    message = EmailMessage()
    message["To"] = user.name
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=1) as server:
            server.send_message(message)
    except OSError:
        raise HTTPException(502) from None
