"""A data access object and a service that holds one."""

from sqlalchemy.orm import Session

from .database import Item


class ItemDao:
    def __init__(self, session: Session):
        self.db = session

    def get(self, item_id: int) -> Item | None:
        return self.db.query(Item).get(item_id)

    def by_name(self, name: str) -> Item | None:
        return self.db.query(Item).filter(Item.name == name).first()

    def add(self, name: str, stock: int) -> Item:
        item = Item(name=name, stock=stock)
        self.db.add(item)
        self.db.commit()
        self.db.refresh(item)
        return item

    @property
    def session(self) -> Session:
        return self.db


class Shop:
    def __init__(self, items: ItemDao):
        self.items = items

    def restock(self, item_id: int, count: int) -> int:
        item = self.items.get(item_id)
        if item is None:
            raise LookupError(item_id)
        item.stock += count
        self.items.session.commit()
        return item.stock

    def names(self) -> list[str]:
        return [name for (name,) in self.items.db.query(Item.name).order_by(Item.name)]
