"""A family of overrides: when one waits for the database, all of them do."""

from abc import ABC, abstractmethod

from sqlalchemy.orm import Session

from .models import Document


class Store(ABC):
    @abstractmethod
    def load(self, key: str) -> str | None: ...

    @abstractmethod
    def save(self, key: str, text: str) -> None: ...

    def load_or(self, key: str, default: str) -> str:
        text = self.load(key)
        return default if text is None else text


class MemoryStore(Store):
    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def load(self, key: str) -> str | None:
        return self.texts.get(key)

    def save(self, key: str, text: str) -> None:
        self.texts[key] = text


class DatabaseStore(Store):
    def __init__(self, session: Session) -> None:
        self.session = session

    def load(self, key: str) -> str | None:
        found = self.session.query(Document).filter_by(key=key).first()
        return found.text if found else None

    def save(self, key: str, text: str) -> None:
        self.session.merge(Document(key=key, text=text))
        self.session.commit()


class CheckedStore(DatabaseStore):
    def save(self, key: str, text: str) -> None:
        if not text:
            raise ValueError("no text")
        super().save(key, text)
