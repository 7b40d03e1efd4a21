from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import relationship

from .db import Base


class Photo(Base):
    __tablename__ = "photos"

    id = Column(Integer, primary_key=True)
    name = Column(String(100))
    data = Column(LargeBinary)
    album_id = Column(Integer, ForeignKey("albums.id"))
    album = relationship("Album", back_populates="photos")


class Album(Base):
    __tablename__ = "albums"

    id = Column(Integer, primary_key=True)
    title = Column(String(100))
    photos = relationship("Photo", back_populates="album")
