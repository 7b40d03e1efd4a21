"""Sessions by many names: a local, ``self.db``, ``db.session``, ``self.items.db``."""

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from .database import Base, Database, Item, get_database, get_db
from .items import ItemDao, Shop

app = FastAPI()


def get_shop(db: AsyncSession = Depends(get_db)) -> Shop:
    return Shop(ItemDao(db))


@app.post("/items", status_code=201)
async def create(name: str, stock: int = 0, db: AsyncSession = Depends(get_db)):
    items = ItemDao(db)
    if await items.by_name(name):
        raise HTTPException(409)
    return {"id": (await items.add(name, stock)).id}


@app.post("/items/{item_id}/restock")
async def restock(item_id: int, count: int, shop: Shop = Depends(get_shop)):
    try:
        return await shop.restock(item_id, count)
    except LookupError:
        raise HTTPException(404) from None


@app.get("/items")
async def names(shop: Shop = Depends(get_shop)):
    return await shop.names()


@app.put("/items/{item_id}")
async def rename(item_id: int, name: str, db: Database = Depends(get_database)):
    item = (await db.session.scalars(select(Item).filter_by(id=item_id))).one_or_none()
    if item is None:
        raise HTTPException(404)
    item.name = name
    await db.session.flush()
    return {"name": (await db.session.execute(select(Item.name).where(Item.id == item_id))).scalar_one_or_none()}


@app.delete("/items/{item_id}", status_code=204)
async def remove(item_id: int, db: Database = Depends(get_database)):
    session = db.session
    item = await session.get(Item, item_id)
    if item is None:
        raise HTTPException(404)
    await session.delete(item)


__all__ = ["Base", "app"]
