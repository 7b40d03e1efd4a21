"""Accounts, and the money that moves between them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from sqlalchemy import select

from sqlawait import AsyncSession, OffsetPage, Page
from sqlawait.fastapi import DatabaseDep, IdempotencyKey, ReaderDep, SessionDep, once
from sqlawait.fastapi.listing import Listing, OffsetListing, listing, offset_listing
from sqlawait.service import crud
from sqlawait.service.models import Account, Answer, LedgerEntry, Transfer
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import AccountCreate, AccountRead, LedgerEntryRead, TransferCreate, TransferRead

router = APIRouter(tags=["accounts"])

Accounts = Annotated[Listing[Account], listing(Account, filters=[Account.user_id], sorts=[Account.balance])]
Entries = Annotated[OffsetListing[LedgerEntry], offset_listing(LedgerEntry)]


@router.post("/accounts", status_code=201, response_model=AccountRead)
async def open_account(body: AccountCreate, session: SessionDep) -> Account:
    """Open an account for a user."""
    return await crud.open_account(session, body)


@router.get("/accounts", response_model=Page[AccountRead])
async def list_accounts(accounts: Accounts, session: ReaderDep) -> Page[Account]:
    """List accounts, a page at a time."""
    return await accounts.page(session)


@router.get("/accounts/{account_id}", response_model=AccountRead)
async def read_account(account_id: Id, session: ReaderDep) -> Account:
    """Read an account and its balance."""
    return await session.get_one(Account, account_id)


@router.get("/accounts/{account_id}/ledger", response_model=OffsetPage[LedgerEntryRead])
async def read_ledger(account_id: Id, entries: Entries, session: ReaderDep) -> OffsetPage[LedgerEntry]:
    """Read what happened on an account, oldest first."""
    account = await session.get_one(Account, account_id)
    return await entries.page(session, select(LedgerEntry).where(LedgerEntry.account_id == account.id))


@router.post("/transfers", status_code=201, response_model=TransferRead)
async def create_transfer(body: TransferCreate, db: DatabaseDep, key: IdempotencyKey = None) -> Response:
    """Move money. Too little of it answers 409; the same Idempotency-Key again gives the first answer."""

    async def work(session: AsyncSession) -> TransferRead:
        return TransferRead.model_validate(await crud.transfer(session, body))

    return await once(db, Answer, key, body, work)


@router.get("/transfers/{transfer_id}", response_model=TransferRead)
async def read_transfer(transfer_id: Id, session: ReaderDep) -> Transfer:
    """Read a transfer."""
    return await session.get_one(Transfer, transfer_id)
