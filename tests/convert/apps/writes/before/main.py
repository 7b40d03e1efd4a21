"""Bulk updates and deletes with ``synchronize_session`` and row counts, and counting."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]
    balance: Mapped[int] = mapped_column(default=0)


class Entry(Base):
    __tablename__ = "entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    amount: Mapped[int]


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.post("/accounts/{account_id}/deposit")
def deposit(account_id: int, amount: int, db: Session = Depends(get_db)):
    changed = (
        db.query(Account)
        .filter(Account.id == account_id)
        .update({Account.balance: Account.balance + amount}, synchronize_session=False)
    )
    if not changed:
        raise HTTPException(404)
    db.add(Entry(account_id=account_id, amount=amount))
    db.commit()
    return db.query(Account.balance).filter(Account.id == account_id).scalar()


@app.put("/accounts/{owner}")
def rename(owner: str, name: str, db: Session = Depends(get_db)):
    account = db.query(Account).filter_by(owner=owner).first()
    db.query(Account).filter_by(owner=owner).update({"owner": name})
    db.commit()
    return account.owner if account else None


@app.delete("/entries")
def delete_entries(account_id: int, db: Session = Depends(get_db)):
    query = db.query(Entry).filter(Entry.account_id == account_id)
    count = query.count()
    deleted = query.delete(synchronize_session="fetch")
    db.commit()
    return {"count": count, "deleted": deleted}


@app.delete("/poor")
def delete_poor(db: Session = Depends(get_db)):
    poor = db.query(Account.id).filter(Account.balance <= 0)
    deleted = db.query(Account).filter(Account.id.in_(poor)).delete(synchronize_session=False)
    db.commit()
    return deleted


@app.get("/counts")
def counts(db: Session = Depends(get_db)):
    return [
        db.query(Account).count(),
        db.query(Account).filter(Account.balance > 0).count(),
        db.query(Entry.account_id).distinct().count(),
    ]


@app.post("/import")
def bulk(amounts: list[int], db: Session = Depends(get_db)):
    db.bulk_save_objects([Entry(account_id=1, amount=amount) for amount in amounts])
    db.bulk_insert_mappings(Entry, [{"account_id": 2, "amount": amount} for amount in amounts])
    db.commit()
    return db.query(Entry).count()


@app.post("/locked/{account_id}")
def locked(account_id: int, db: Session = Depends(get_db)):
    account = db.query(Account).filter(Account.id == account_id).with_for_update().one()
    with db.begin_nested():
        account.balance += 1
    db.commit()
    return account.balance
