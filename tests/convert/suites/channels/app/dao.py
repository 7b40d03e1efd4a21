from sqlalchemy.orm import Session

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
