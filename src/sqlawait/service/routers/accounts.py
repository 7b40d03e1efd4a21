"""Accounts, and the money that moves between them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from sqlawait import AsyncSession
from sqlawait.fastapi import DatabaseDep, IdempotencyKey, ReaderDep, SessionDep, once
from sqlawait.service import crud
from sqlawait.service.models import Account, Answer, Transfer
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import AccountCreate, AccountRead, TransferCreate, TransferRead

router = APIRouter(tags=["accounts"])


@router.post("/accounts", status_code=201, response_model=AccountRead)
async def open_account(body: AccountCreate, session: SessionDep) -> Account:
    """Open an account for a user."""
    return await crud.open_account(session, body)


@router.get("/accounts/{account_id}", response_model=AccountRead)
async def read_account(account_id: Id, session: ReaderDep) -> Account:
    """Read an account and its balance."""
    return await session.get_one(Account, account_id)


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
