"""Bulk updates and deletes with ``synchronize_session`` and row counts, and counting."""

import os

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import URL, ForeignKey, delete, func, make_url, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {"postgresql": "psycopg", "sqlite": "aiosqlite", "mysql": "asyncmy", "mariadb": "asyncmy"}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
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


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


@app.post("/accounts/{account_id}/deposit")
async def deposit(account_id: int, amount: int, db: AsyncSession = Depends(get_db)):
    changed = (
        await db.execute(
            update(Account)
            .where(Account.id == account_id)
            .values({Account.balance: Account.balance + amount})
            .execution_options(synchronize_session=False)
        )
    ).rowcount
    if not changed:
        raise HTTPException(404)
    db.add(Entry(account_id=account_id, amount=amount))
    await db.commit()
    return (await db.execute(select(Account.balance).where(Account.id == account_id))).scalar_one_or_none()


@app.put("/accounts/{owner}")
async def rename(owner: str, name: str, db: AsyncSession = Depends(get_db)):
    account = (await db.scalars(select(Account).filter_by(owner=owner).limit(1))).first()
    await db.execute(update(Account).filter_by(owner=owner).values({"owner": name}))
    await db.commit()
    return account.owner if account else None


@app.delete("/entries")
async def delete_entries(account_id: int, db: AsyncSession = Depends(get_db)):
    query = select(Entry).where(Entry.account_id == account_id)
    count = await db.scalar(select(func.count()).select_from(query.subquery()))
    deleted = (await db.execute(delete(Entry).where(query.whereclause).execution_options(synchronize_session="fetch"))).rowcount
    await db.commit()
    return {"count": count, "deleted": deleted}


@app.delete("/poor")
async def delete_poor(db: AsyncSession = Depends(get_db)):
    poor = select(Account.id).where(Account.balance <= 0)
    deleted = (await db.execute(delete(Account).where(Account.id.in_(poor)).execution_options(synchronize_session=False))).rowcount
    await db.commit()
    return deleted


@app.get("/counts")
async def counts(db: AsyncSession = Depends(get_db)):
    return [
        await db.scalar(select(func.count()).select_from(Account)),
        await db.scalar(select(func.count()).select_from(Account).where(Account.balance > 0)),
        await db.scalar(select(func.count()).select_from(select(Entry.account_id).distinct().subquery())),
    ]


@app.post("/import")
async def bulk(amounts: list[int], db: AsyncSession = Depends(get_db)):
    await db.run_sync(lambda sync_session: sync_session.bulk_save_objects([Entry(account_id=1, amount=amount) for amount in amounts]))
    await db.run_sync(lambda sync_session: sync_session.bulk_insert_mappings(Entry, [{"account_id": 2, "amount": amount} for amount in amounts]))
    await db.commit()
    return await db.scalar(select(func.count()).select_from(Entry))


@app.post("/locked/{account_id}")
async def locked(account_id: int, db: AsyncSession = Depends(get_db)):
    account = (await db.scalars(select(Account).where(Account.id == account_id).with_for_update())).one()
    async with db.begin_nested():
        account.balance += 1
    await db.commit()
    return account.balance
