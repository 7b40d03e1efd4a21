import os

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Coin(Base):
    __tablename__ = "coins"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


def get_db():
    with SessionLocal() as db:
        yield db
