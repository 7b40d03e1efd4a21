"""Reports: blocking, synchronous code, run over the bridge so that no other request waits for it."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from statistics import median

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.orm import Session

from sqlawait.fastapi import DatabaseDep
from sqlawait.service.models import LedgerEntry
from sqlawait.service.schemas import AccountSummary

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("/accounts")
async def summarize_accounts(db: DatabaseDep) -> list[AccountSummary]:
    """Sum up what happened on each account."""
    return await db.run_sync(account_summaries)


def account_summaries(session: Session) -> list[AccountSummary]:
    """Read the ledger and sum it up: plain synchronous SQLAlchemy, and Python that takes its time."""
    entries = session.scalars(select(LedgerEntry).order_by(LedgerEntry.account_id))
    return [
        summary(account, [entry.amount for entry in group])
        for account, group in groupby(entries, attrgetter("account_id"))
    ]


def summary(account_id: int, amounts: list[Decimal]) -> AccountSummary:
    """Sum up one account."""
    return AccountSummary(
        account_id=account_id,
        entries=len(amounts),
        received=sum((amount for amount in amounts if amount > 0), Decimal("0.00")),
        spent=-sum((amount for amount in amounts if amount < 0), Decimal("0.00")),
        median=median(amounts),
    )
