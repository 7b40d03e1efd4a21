from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import database
from .models import Channel, Package


class Dao:
    def __init__(self, db: Session):
        self.db = db

    def channel(self, name: str) -> Channel | None:
        return self.db.query(Channel).filter(Channel.name == name).one_or_none()

    def package(self, name: str) -> Package | None:
        return self.db.query(Package).filter(Package.name == name).one_or_none()

    def update_index(self, name: str) -> None:
        channel = self.channel(name)
        channel.index = ", ".join(package.name for package in channel.packages)
        self.db.commit()


def new_count(session: Session) -> int:
    return session.execute(select(func.count()).select_from(Package)).scalar_one()


def size() -> int:
    session = database.SessionLocal()
    try:
        return len(session.execute(select(Package)).unique().all())
    finally:
        session.close()
