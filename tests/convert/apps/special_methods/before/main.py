"""Queries in ``__init__``, in properties and in other special methods."""

from abc import ABC
import os

from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


def get_db():
    with SessionLocal() as db:
        yield db


class Prices:
    """Reads them once, when it is made."""

    def __init__(self, db: Session, *, above: int = 0):
        self.db = db
        self.items = db.query(Item).filter(Item.price > above).order_by(Item.id).all()
        if not self.items:
            self.highest = None
            return
        self.highest = max(item.price for item in self.items)

    def names(self) -> list[str]:
        return [item.name for item in self.items]


class Dashboard(ABC):
    """A dependency by its class."""

    def __init__(self, above: int = 0, db: Session = Depends(get_db)):
        self.db = db
        self.count = db.query(Item).filter(Item.price > above).count()

    @property
    def total(self) -> int:
        return sum(price for (price,) in self.db.query(Item.price))

    @property
    def average(self) -> float:
        return self.total / self.count


class Catalogue:
    def __init__(self, db: Session):
        self.db = db

    def __len__(self) -> int:
        return self.db.query(Item).count()

    def __contains__(self, name: str) -> bool:
        return self.db.query(Item).filter(Item.name == name).first() is not None

    def __getitem__(self, item_id: int) -> Item:
        item = self.db.query(Item).get(item_id)
        if item is None:
            raise KeyError(item_id)
        return item

    def __iter__(self):
        for item in self.db.query(Item).order_by(Item.id):
            yield item

    def __call__(self, above: int) -> list[str]:
        return [name for (name,) in self.db.query(Item.name).filter(Item.price > above)]


@app.get("/prices")
def prices(above: int = 0, db: Session = Depends(get_db)):
    found = Prices(db, above=above)
    return {"highest": found.highest, "names": found.names(), "all": Prices(db).names()}


@app.get("/dashboard")
def dashboard(board: Dashboard = Depends(Dashboard)):
    return {"count": board.count, "total": board.total, "average": board.average}


@app.get("/short")
def short(board: Dashboard = Depends()):
    return board.count


@app.get("/catalogue")
def catalogue(name: str, db: Session = Depends(get_db)):
    items = Catalogue(db)
    return {
        "size": len(items),
        "known": name in items,
        "unknown": name not in items,
        "second": items[2].name,
        "names": [item.name for item in items],
        "dear": items(5),
    }
