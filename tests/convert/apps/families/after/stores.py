"""A family of overrides: when one waits for the database, all of them do."""

from abc import ABC, abstractmethod

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Document


class Store(ABC):
    @abstractmethod
    async def load(self, key: str) -> str | None: ...

    @abstractmethod
    async def save(self, key: str, text: str) -> None: ...

    async def load_or(self, key: str, default: str) -> str:
        text = await self.load(key)
        return default if text is None else text


class MemoryStore(Store):
    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def load(self, key: str) -> str | None:
        return self.texts.get(key)

    async def save(self, key: str, text: str) -> None:
        self.texts[key] = text


class DatabaseStore(Store):
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def load(self, key: str) -> str | None:
        found = (await self.session.scalars(select(Document).filter_by(key=key).limit(1))).first()
        return found.text if found else None

    async def save(self, key: str, text: str) -> None:
        await self.session.merge(Document(key=key, text=text))
        await self.session.commit()


class CheckedStore(DatabaseStore):
    async def save(self, key: str, text: str) -> None:
        if not text:
            raise ValueError("no text")
        await super().save(key, text)
