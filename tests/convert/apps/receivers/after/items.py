"""A data access object and a service that holds one."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Item


class ItemDao:
    def __init__(self, session: AsyncSession):
        self.db = session

    async def get(self, item_id: int) -> Item | None:
        return await self.db.get(Item, item_id)

    async def by_name(self, name: str) -> Item | None:
        return (await self.db.scalars(select(Item).where(Item.name == name).limit(1))).first()

    async def add(self, name: str, stock: int) -> Item:
        item = Item(name=name, stock=stock)
        self.db.add(item)
        await self.db.commit()
        await self.db.refresh(item)
        return item

    @property
    def session(self) -> AsyncSession:
        return self.db


class Shop:
    def __init__(self, items: ItemDao):
        self.items = items

    async def restock(self, item_id: int, count: int) -> int:
        item = await self.items.get(item_id)
        if item is None:
            raise LookupError(item_id)
        item.stock += count
        await self.items.session.commit()
        return item.stock

    async def names(self) -> list[str]:
        return [name for (name,) in await self.items.db.execute(select(Item.name).order_by(Item.name))]
