"""What takes more than one verb. The rest stands in the routes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Row, select
from sqlalchemy.orm import selectinload

from sqlawait import AsyncSession, nearest
from sqlawait.service.models import Account, Category, Document, LedgerEntry, Transfer, User
from sqlawait.service.schemas import AccountCreate, TransferCreate


class Refused(Exception):
    """The state of the data forbids it: an HTTP 409."""


async def user_with_posts(session: AsyncSession, user_id: int) -> User:
    """Read a user and the user's posts."""
    return await session.one(select(User).where(User.id == user_id).options(selectinload(User.posts)))


async def category_with_items(session: AsyncSession, category_id: int) -> Category:
    """Read a category and its items."""
    return await session.one(
        select(Category).where(Category.id == category_id).options(selectinload(Category.items))
    )


async def open_account(session: AsyncSession, new: AccountCreate) -> Account:
    """Open an account; what it starts with is its first ledger entry."""
    account = await session.create(Account, **new.model_dump())
    await session.create(LedgerEntry, account_id=account.id, amount=account.balance, balance=account.balance)
    return account


async def transfer(session: AsyncSession, order: TransferCreate) -> Transfer:
    """Move money, or refuse. Accounts are locked in one order, so that no two transfers wait for each other."""
    accounts = {
        account.id: account for account in await session.lock(Account, [order.source_id, order.target_id])
    }
    source, target = accounts[order.source_id], accounts[order.target_id]
    if source.balance < order.amount:
        raise Refused(f"account {source.id} holds less than {order.amount}")
    done = await session.create(Transfer, **order.model_dump())
    for account, amount in (source, -order.amount), (target, order.amount):
        account.balance += amount
        session.add(
            LedgerEntry(account_id=account.id, transfer_id=done.id, amount=amount, balance=account.balance)
        )
    return done


async def nearest_documents(
    session: AsyncSession, vector: list[float], k: int
) -> Sequence[Row[tuple[Document, float]]]:
    """Find the k documents whose vectors point most nearly where this one points."""
    return (await session.execute(nearest(Document.embedding, vector, k))).all()
