from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, backref, declared_attr, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    pass


class IdMixin:
    id: Mapped[int] = mapped_column(primary_key=True)

    @declared_attr.directive
    def __tablename__(cls) -> str:
        return cls.__name__.lower()


class AuthoredMixin:
    """A relationship that comes from a mixin."""

    author_id: Mapped[int] = mapped_column(ForeignKey("member.id"))

    @declared_attr
    def author(cls) -> Mapped[Member]:
        return relationship("Member", foreign_keys=[cls.author_id])


class Member(IdMixin, Base):
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(200), unique=True)

    threads: Mapped[list[Thread]] = relationship(back_populates="owner")
    badges: Mapped[list[Badge]] = relationship(lazy="selectin")
    profile: Mapped[Profile | None] = relationship(back_populates="member", uselist=False)


class Profile(IdMixin, Base):
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    bio: Mapped[str] = mapped_column(default="")

    member: Mapped[Member] = relationship(back_populates="profile")


class Badge(IdMixin, Base):
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    label: Mapped[str]


class Thread(IdMixin, Base):
    owner_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    title: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    owner: Mapped[Member] = relationship(back_populates="threads")
    posts: Mapped[list[Post]] = relationship(back_populates="thread", order_by="Post.id")
    tags: Mapped[list[Tag]] = relationship(secondary="thread_tag", lazy="selectin")

    @property
    def post_count(self) -> int:
        return len(self.posts)  # also: SAW301

    @property
    def slug(self) -> str:
        return self.title.lower().replace(" ", "-")


class Post(AuthoredMixin, IdMixin, Base):
    thread_id: Mapped[int] = mapped_column(ForeignKey("thread.id"))
    body: Mapped[str]

    thread: Mapped[Thread] = relationship(back_populates="posts")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("post.id"))
    replies: Mapped[list[Post]] = relationship("Post", backref=backref("parent", remote_side="Post.id"))


class Tag(IdMixin, Base):
    name: Mapped[str]


class ThreadTag(Base):
    __tablename__ = "thread_tag"

    thread_id: Mapped[int] = mapped_column(ForeignKey("thread.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), primary_key=True)
