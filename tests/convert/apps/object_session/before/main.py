"""Objects that find the session they are in."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, object_session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

    def lines(self) -> list["Line"]:
        return object_session(self).query(Line).filter(Line.order_id == self.id).order_by(Line.id).all()

    def close(self) -> None:
        db = object_session(self)
        self.state = "closed"
        db.add(Line(order_id=self.id, text="closed"))
        db.flush()


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    text: Mapped[str]


def get_db():
    with SessionLocal() as db:
        yield db


@app.post("/orders")
def create(texts: list[str], db: Session = Depends(get_db)):
    order = Order(state="open")
    db.add(order)
    db.flush()
    db.add_all([Line(order_id=order.id, text=text) for text in texts])
    db.commit()
    return order.id


@app.post("/orders/{order_id}/close")
def close(order_id: int, db: Session = Depends(get_db)):
    order = db.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    order.close()
    db.commit()
    return {"state": order.state, "lines": [line.text for line in order.lines()]}
