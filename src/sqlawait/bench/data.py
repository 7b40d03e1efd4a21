"""The data set: users with ten posts each, as mapped classes and as Pydantic schemas. One pair for all apps."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, ForeignKey, MetaData, String, Text, func, insert, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import CreateSchema, DropSchema
from sqlalchemy.sql.schema import RETAIN_SCHEMA

USERS = 1000
POSTS = 10
"""Posts of each user."""


class Base(DeclarativeBase):
    """The models live in the schema that the environment names: see :meth:`Target.environment`."""

    metadata = MetaData(schema=os.environ.get("SQLAWAIT_BENCH_SCHEMA") or None)


class User(Base):
    """A user, with posts."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(200), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    posts: Mapped[list[Post]] = relationship(back_populates="author", order_by="Post.id")


class Post(Base):
    """A post of a user."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    author: Mapped[User] = relationship(back_populates="posts")


class UserCreate(BaseModel):
    """What makes a user."""

    name: str
    email: str


class UserUpdate(BaseModel):
    """What may change in a user."""

    name: str


class PostRead(BaseModel):
    """A post as the API gives it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    body: str
    created_at: datetime


class UserRead(BaseModel):
    """A user as the API gives it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    active: bool
    created_at: datetime


class UserWithPosts(UserRead):
    """A user with the posts."""

    posts: list[PostRead]


def create(engine: Engine, schema: str | None, *, users: int = USERS) -> None:
    """Make the tables and fill them; the users' ids are 1 to ``users``."""
    metadata = _metadata(schema)
    start = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - naive on purpose, as most tables are
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("PRAGMA journal_mode=WAL"))  # kept in the file: every app has it
        connection.commit()
        with connection.begin():
            if schema is not None:
                connection.execute(CreateSchema(schema))
            metadata.create_all(connection)
            prefix = f"{schema}." if schema else ""
            _fill(connection, metadata, prefix, users, start)
        if engine.dialect.name != "mysql":
            with connection.begin():
                connection.execute(text("ANALYZE"))


def remove(engine: Engine, schema: str | None) -> None:
    """Remove the schema and all in it."""
    if schema is None:
        return
    cascade = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        connection.execute(DropSchema(schema, cascade=cascade, if_exists=True))


def _metadata(schema: str | None) -> MetaData:
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata, schema=schema or RETAIN_SCHEMA)
    return metadata


def _fill(connection: Connection, metadata: MetaData, prefix: str, users: int, start: datetime) -> None:
    connection.execute(
        insert(metadata.tables[f"{prefix}users"]),
        [
            {
                "id": user,
                "name": f"User {user}",
                "email": f"user{user}@example.com",
                "active": user % 10 != 0,
                "created_at": start + timedelta(minutes=user),
            }
            for user in range(1, users + 1)
        ],
    )
    connection.execute(
        insert(metadata.tables[f"{prefix}posts"]),
        [
            {
                "author_id": user,
                "title": f"Post {number} of user {user}",
                "body": "The quick brown fox jumps over the lazy dog. " * 3,
                "created_at": start + timedelta(hours=number, seconds=user),
            }
            for user in range(1, users + 1)
            for number in range(1, POSTS + 1)
        ],
    )
    if connection.dialect.name == "postgresql":  # the ids were given, so the sequence has to catch up
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{prefix}users', 'id'), {users})"))


__all__ = [
    "POSTS",
    "USERS",
    "Base",
    "Post",
    "PostRead",
    "User",
    "UserCreate",
    "UserRead",
    "UserUpdate",
    "UserWithPosts",
    "create",
    "remove",
]
