"""What takes more than one verb. The rest stands in the routes."""

from __future__ import annotations

from sqlawait import AsyncSession
from sqlawait.service.models import Account, LedgerEntry, Transfer
from sqlawait.service.schemas import AccountCreate, TransferCreate


class Refused(Exception):
    """The data as they are forbid it: an HTTP 409."""


async def open_account(session: AsyncSession, new: AccountCreate) -> Account:
    """Open an account; what it starts with is its first ledger entry."""
    account = await session.create(Account, **new.model_dump())
    await session.create(LedgerEntry, account_id=account.id, amount=account.balance, balance=account.balance)
    return account


async def transfer(session: AsyncSession, order: TransferCreate) -> Transfer:
    """Move money from one account to another, both locked in an order that no two transfers can deadlock in."""
    source, target = await session.lock(Account, [order.source_id, order.target_id])
    if source.balance < order.amount:
        raise Refused(f"account {source.id} holds less than {order.amount}")
    done = await session.create(Transfer, **order.model_dump())
    for account, amount in (source, -order.amount), (target, order.amount):
        account.balance += amount
        session.add(
            LedgerEntry(account_id=account.id, transfer_id=done.id, amount=amount, balance=account.balance)
        )
    return done
