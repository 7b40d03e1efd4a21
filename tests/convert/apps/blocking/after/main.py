"""Calls that block for another reason than the database, in routes that had a thread each."""

import asyncio
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
from sqlalchemy import URL, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {"postgresql": "psycopg", "sqlite": "aiosqlite", "mysql": "asyncmy", "mariadb": "asyncmy"}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    hashed: Mapped[str]
    photo: Mapped[str | None]


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


def get_password_hash(password: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1000).hex()


def verify_password(password: str, hashed: str) -> bool:
    return get_password_hash(password) == hashed


async def authenticate(db: AsyncSession, name: str, password: str) -> User | None:
    user = (await db.scalars(select(User).where(User.name == name).limit(1))).first()
    if not user or not await asyncio.to_thread(verify_password, password, user.hashed):
        return None
    return user


@app.post("/users")
async def create_user(name: str, password: str, db: AsyncSession = Depends(get_db)):
    user = User(name=name, hashed=await asyncio.to_thread(get_password_hash, password))
    db.add(user)
    await db.commit()
    return user.id


@app.post("/login")
async def login(name: str, password: str, db: AsyncSession = Depends(get_db)):
    user = await authenticate(db, name, password)
    if user is None:
        await asyncio.sleep(0.01)
        raise HTTPException(401)
    return user.name


@app.post("/users/{user_id}/photo")
async def upload(user_id: int, data: str = Body(), db: AsyncSession = Depends(get_db)):
    user = await db.get(User, user_id)
    path = Path(os.environ["PHOTOS"]) / f"{user_id}.png"
    with path.open("wb") as target:
        await asyncio.to_thread(shutil.copyfileobj, io.BytesIO(data.encode()), target)
    user.photo = str(path)
    await db.commit()
    with open(path, "rb") as photo:
        return len(await asyncio.to_thread(photo.read))


@app.post("/users/{user_id}/notify")
async def notify(user_id: int, port: int, db: AsyncSession = Depends(get_db)):
    user = await db.get(User, user_id)
    answer = (await asyncio.to_thread(requests.get, f"http://127.0.0.1:{port}/{user.name}", timeout=5)).json()
    return answer["greeting"]


@app.post("/users/{user_id}/mail")
async def mail(user_id: int, port: int, db: AsyncSession = Depends(get_db)):
    user = await db.get(User, user_id)
    message = EmailMessage()
    message["To"] = user.name
    try:
        with await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", port, timeout=1) as server:
            await asyncio.to_thread(server.send_message, message)
    except OSError:
        raise HTTPException(502) from None
