from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship


class Base(MappedAsDataclass, DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    desk_id: Mapped[int] = mapped_column(ForeignKey("desks.id"))
    desk: Mapped["Desk"] = relationship(back_populates="articles", init=False)


class Desk(Base):
    __tablename__ = "desks"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str]
    articles: Mapped[list["Article"]] = relationship(back_populates="desk", default_factory=list)


class Delivery(Base):
    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id"))
    address: Mapped[str]
