from fastapi import APIRouter, HTTPException
from sqlalchemy import select

from .database import Audited, Begun, Committing, Expiring, Keeping, Session, Unit
from .models import Account, Entry
from .schemas import AccountIn, AccountOut

router = APIRouter(prefix="/accounts")


@router.post("/", status_code=201)
async def open_account(body: AccountIn, session: Expiring) -> dict:
    account = Account(owner=body.owner)
    session.add(account)
    await session.commit()
    return {"id": account.id, "owner": account.owner}  # expect: SAW303


@router.post("/model", status_code=201, response_model=AccountOut)
async def open_account_model(body: AccountIn, session: Expiring):
    account = Account(owner=body.owner)
    session.add(account)
    await session.commit()
    return account  # expect: SAW303 # also: SAW302


@router.post("/refreshed", status_code=201, response_model=AccountOut)
async def open_account_refreshed(body: AccountIn, session: Expiring):
    account = Account(owner=body.owner)
    session.add(account)
    await session.commit()
    await session.refresh(account)
    return account  # ok: SAW303


@router.post("/flushed", status_code=201)
async def open_account_flushed(body: AccountIn, session: Expiring) -> dict:
    account = Account(owner=body.owner)
    session.add(account)
    await session.flush()
    account_id = account.id  # ok: SAW303
    await session.commit()
    return {"id": account_id}  # ok: SAW303


@router.post("/kept", status_code=201)
async def open_account_kept(body: AccountIn, session: Keeping) -> dict:
    account = Account(owner=body.owner)
    session.add(account)
    await session.commit()
    return {"id": account.id}  # ok: SAW303


@router.put("/{account_id}/owner")
async def rename(account_id: int, owner: str, session: Expiring) -> str:
    account = await session.get(Account, account_id)
    if account is None:
        raise HTTPException(404)
    account.owner = owner
    await session.commit()
    return f"{account_id} now belongs to {account.owner}"  # expect: SAW303


@router.put("/{account_id}/owner-returning")
async def rename_returning(account_id: int, owner: str, session: Expiring) -> str:
    account = await session.get(Account, account_id)
    if account is None:
        raise HTTPException(404)
    previous = account.owner  # ok: SAW303
    account.owner = owner
    await session.commit()
    return previous  # ok: SAW303


@router.put("/{account_id}/owner-again")
async def rename_again(account_id: int, owner: str, session: Expiring) -> str:
    account = await session.get_one(Account, account_id)
    account.owner = owner
    await session.commit()
    account = await session.get_one(Account, account_id)
    return account.owner  # ok: SAW303


@router.post("/{account_id}/entries")
async def add_entry(account_id: int, note: str, session: Expiring) -> dict:
    entry = Entry(account_id=account_id, amount=0, note=note)
    session.add(entry)
    await _save(session)
    return {"note": entry.note}  # expect: SAW303


async def _save(session: Expiring) -> None:
    await session.commit()


@router.post("/import")
async def import_accounts(owners: list[str]) -> list[int]:
    async with Session() as session:
        accounts = [Account(owner=owner) for owner in owners]
        session.add_all(accounts)
        await session.commit()
        return [account.id for account in accounts]  # expect: SAW303


@router.post("/import-begun")
async def import_begun(owners: list[str]) -> list[int]:
    async with Session() as session:
        async with session.begin():
            accounts = [Account(owner=owner) for owner in owners]
            session.add_all(accounts)
        return [account.id for account in accounts]  # expect: SAW303


@router.get("/{account_id}", response_model=AccountOut)
async def read(account_id: int, session: Expiring):
    account = await session.scalar(select(Account).where(Account.id == account_id))
    if account is None:
        raise HTTPException(404)
    return account  # ok: SAW303, SAW302


@router.post("/committing", response_model=AccountOut)
async def committing(body: AccountIn, session: Committing):
    account = Account(owner=body.owner)
    session.add(account)
    await session.flush()
    return account  # ok: SAW303


@router.post("/begun", response_model=AccountOut)
async def begun(body: AccountIn, session: Begun):
    account = Account(owner=body.owner)
    session.add(account)
    await session.flush()
    return account


@router.post("/unit", response_model=AccountOut)
async def unit(body: AccountIn, session: Unit):
    account = Account(owner=body.owner)
    session.add(account)
    await session.flush()
    return account


@router.post("/audited", response_model=AccountOut)
async def audited(body: AccountIn, session: Audited):
    account = Account(owner=body.owner)
    session.add(account)
    await session.flush()
    return account
