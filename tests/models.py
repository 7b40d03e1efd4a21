"""Tables that the library's own tests use."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str] = mapped_column(String(100), server_default="nobody")
    level: Mapped[int] = mapped_column(default=1)
    changes: Mapped[int] = mapped_column(default=0, onupdate=func.length("12345"))
    posts: Mapped[list[Post]] = relationship(back_populates="user", order_by="Post.id")


class Post(Base):
    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(200))
    user: Mapped[User] = relationship(back_populates="posts")


class Counter(Base):
    __tablename__ = "counters"
    __table_args__ = (CheckConstraint("value >= 0", name="not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)
    amount: Mapped[float] = mapped_column(Numeric(12, 2), default=0)
