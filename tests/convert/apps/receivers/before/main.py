"""Sessions by many names: a local, ``self.db``, ``db.session``, ``self.items.db``."""

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.orm import Session

from .database import Base, Database, Item, get_database, get_db
from .items import ItemDao, Shop

app = FastAPI()


def get_shop(db: Session = Depends(get_db)) -> Shop:
    return Shop(ItemDao(db))


@app.post("/items", status_code=201)
def create(name: str, stock: int = 0, db: Session = Depends(get_db)):
    items = ItemDao(db)
    if items.by_name(name):
        raise HTTPException(409)
    return {"id": items.add(name, stock).id}


@app.post("/items/{item_id}/restock")
def restock(item_id: int, count: int, shop: Shop = Depends(get_shop)):
    try:
        return shop.restock(item_id, count)
    except LookupError:
        raise HTTPException(404) from None


@app.get("/items")
def names(shop: Shop = Depends(get_shop)):
    return shop.names()


@app.put("/items/{item_id}")
def rename(item_id: int, name: str, db: Database = Depends(get_database)):
    item = db.session.query(Item).filter_by(id=item_id).one_or_none()
    if item is None:
        raise HTTPException(404)
    item.name = name
    db.session.flush()
    return {"name": db.session.query(Item.name).filter(Item.id == item_id).scalar()}


@app.delete("/items/{item_id}", status_code=204)
def remove(item_id: int, db: Database = Depends(get_database)):
    session = db.session
    item = session.query(Item).get(item_id)
    if item is None:
        raise HTTPException(404)
    session.delete(item)


__all__ = ["Base", "app"]
