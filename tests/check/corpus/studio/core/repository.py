"""Three storeys of helpers above the session."""

from sqlalchemy import func, select

from .db import SessionLocal, transactional, with_session
from .models import Album, Photo


@with_session
def album_titles(session):
    return list(session.scalars(select(Album.title)))


@with_session
def count_photos(session, album_id):
    return _count(session, Photo.album_id == album_id)


def _count(session, *conditions):
    return session.scalar(select(func.count()).select_from(Photo).where(*conditions))


def describe(photo: Photo) -> dict:
    return {"id": photo.id, "name": photo.name}


class PhotoRepository:
    def __init__(self, db):
        self.db = db

    def get(self, photo_id):
        return self._base().filter(Photo.id == photo_id).first()

    def _base(self):
        return self.db.query(Photo)

    @transactional
    def rename(self, photo_id, name):
        photo = self.get(photo_id)
        photo.name = name
        return photo

    def add(self, photo):
        self.db.add(photo)

    @property
    def total(self):
        return self.db.query(Photo).count()

    @staticmethod
    def key(photo_id):
        return f"photo/{photo_id}"


class AlbumService:
    def __init__(self, repository: PhotoRepository):
        self.photos = repository

    def cover(self, photo_id):
        photo = self.photos.get(photo_id)
        return describe(photo) if photo else None

    def cover_key(self, photo_id):
        return self.photos.key(photo_id)


def album_exists(album_id: int) -> bool:
    with SessionLocal() as session:
        return session.get(Album, album_id) is not None


get_album = lambda session, album_id: session.get(Album, album_id)  # noqa: E731
