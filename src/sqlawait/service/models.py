"""The tables."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sqlawait.fastapi import IdempotencyRecord
from sqlawait.service.columns import Id, Instant, Money
from sqlawait.vectors import Vector, hnsw_index

DIMENSIONS = 384
"""The length of a document's vector: that of all-MiniLM-L6-v2, so that either embedder fits the column."""


class Base(DeclarativeBase):
    """Python types to column types, and a name for every constraint, so that migrations can refer to it."""

    type_annotation_map: ClassVar = {int: Id, datetime: Instant, Decimal: Money}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        }
    )


class Created:
    """Rows that know when they were made."""

    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


class User(Created, Base):
    """Somebody."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))

    posts: Mapped[list[Post]] = relationship(
        back_populates="author", order_by="Post.id", lazy="raise", passive_deletes="all"
    )


class Post(Created, Base):
    """What a user wrote; it goes with its user."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime | None]

    author: Mapped[User] = relationship(back_populates="posts", lazy="raise")


class Category(Base):
    """A shelf of items; it can't be deleted while items stand on it."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)

    items: Mapped[list[Item]] = relationship(
        back_populates="category", order_by="Item.id", lazy="raise", passive_deletes="all"
    )


class Item(Created, Base):
    """Something with a price."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int | None] = mapped_column(ForeignKey(Category.id), index=True)
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text)
    price: Mapped[Decimal]

    category: Mapped[Category | None] = relationship(back_populates="items", lazy="raise")


class Account(Created, Base):
    """A user's money."""

    __tablename__ = "accounts"
    __table_args__ = (CheckConstraint("balance >= 0", name="not_overdrawn"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    balance: Mapped[Decimal]


class Transfer(Created, Base):
    """Money that went from one account to another."""

    __tablename__ = "transfers"
    __table_args__ = (CheckConstraint("amount > 0", name="positive"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    target_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    amount: Mapped[Decimal]


class LedgerEntry(Created, Base):
    """One change of one balance. The entries of an account add up to its balance."""

    __tablename__ = "ledger_entries"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    transfer_id: Mapped[int | None] = mapped_column(ForeignKey(Transfer.id), index=True)
    amount: Mapped[Decimal]
    balance: Mapped[Decimal]


class Answer(IdempotencyRecord, Base):
    """What was answered to a request with an idempotency key."""

    __tablename__ = "answers"


class Document(Created, Base):
    """Text, and the vector that says where it stands among the others."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    embedding: Mapped[list[float]] = mapped_column(Vector(DIMENSIONS))


hnsw_index(Document.embedding)
