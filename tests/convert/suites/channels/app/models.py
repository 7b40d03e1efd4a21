from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Channel(Base):
    __tablename__ = "channels"
    name: Mapped[str] = mapped_column(primary_key=True)
    index: Mapped[str] = mapped_column(default="")
    packages: Mapped[list["Package"]] = relationship(back_populates="channel", cascade="all, delete-orphan")
    owner: Mapped["Owner | None"] = relationship(back_populates="channel")


class Owner(Base):
    __tablename__ = "owners"
    name: Mapped[str] = mapped_column(primary_key=True)
    channel_name: Mapped[str] = mapped_column(ForeignKey("channels.name"))
    channel: Mapped[Channel] = relationship(back_populates="owner")


class Package(Base):
    __tablename__ = "packages"
    name: Mapped[str] = mapped_column(primary_key=True)
    channel_name: Mapped[str] = mapped_column(ForeignKey("channels.name"))
    channel: Mapped[Channel] = relationship(back_populates="packages")
