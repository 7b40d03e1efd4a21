"""The table."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    key: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
