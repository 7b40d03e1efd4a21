import asyncio
from decimal import Decimal

import aiohttp
import httpx
from fastapi import APIRouter, HTTPException
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Keeping, KeepSession, transaction
from .models import Account, Entry
from .schemas import Transfer

router = APIRouter(prefix="/transfers")
http = httpx.AsyncClient(timeout=5)


async def lock_account(session: AsyncSession, account_id: int) -> Account:
    account = await session.get(Account, account_id, with_for_update=True)
    if account is None:
        raise HTTPException(404)
    return account


async def lock_in_order(session: AsyncSession, ids: list[int]) -> dict[int, Account]:
    statement = select(Account).where(Account.id.in_(ids)).order_by(Account.id).with_for_update()
    return {account.id: account for account in await session.scalars(statement)}


def move(source: Account, target: Account, amount: Decimal) -> None:
    if source.balance < amount:
        raise HTTPException(409, "insufficient funds")
    source.balance -= amount
    target.balance += amount


@router.post("/naive")
async def transfer_naive(body: Transfer, session: Keeping) -> None:
    source = await session.get(Account, body.source, with_for_update=True)
    target = await session.get(Account, body.target, with_for_update=True)  # expect: SAW410
    move(source, target, body.amount)
    await session.commit()


@router.post("/helper")
async def transfer_helper(body: Transfer, session: Keeping) -> None:
    async with session.begin():
        source = await lock_account(session, body.source)
        target = await lock_account(session, body.target)  # expect: SAW410
        move(source, target, body.amount)


@router.post("/select")
async def transfer_select(body: Transfer, session: Keeping) -> None:
    source = (
        await session.execute(select(Account).where(Account.id == body.source).with_for_update())
    ).scalar_one()
    result = await session.execute(select(Account).where(Account.id == body.target).with_for_update())  # expect: SAW410
    move(source, result.scalar_one(), body.amount)
    await session.commit()


@router.post("/ordered")
async def transfer_ordered(body: Transfer, session: Keeping) -> None:
    accounts = await lock_in_order(session, [body.source, body.target])  # ok: SAW410
    move(accounts[body.source], accounts[body.target], body.amount)
    await session.commit()


@router.post("/sorted")
async def transfer_sorted(body: Transfer, session: Keeping) -> None:
    accounts = {}
    for account_id in sorted((body.source, body.target)):
        accounts[account_id] = await lock_account(session, account_id)  # ok: SAW410 # also: SAW305
    move(accounts[body.source], accounts[body.target], body.amount)
    await session.commit()


@router.post("/sorted-pair")
async def transfer_sorted_pair(body: Transfer, session: Keeping) -> None:
    first, second = sorted([body.source, body.target])
    low = await lock_account(session, first)
    high = await lock_account(session, second)  # ok: SAW410
    source, target = (low, high) if low.id == body.source else (high, low)
    move(source, target, body.amount)
    await session.commit()


@router.post("/loop")
async def charge_all(ids: list[int], session: Keeping) -> None:
    for account_id in ids:
        account = await session.get(Account, account_id, with_for_update=True)  # expect: SAW410, SAW305
        account.balance -= 1
    await session.commit()


@router.post("/loop-helper")
async def charge_all_helper(ids: list[int], session: Keeping) -> None:
    for account_id in ids:
        account = await lock_account(session, account_id)  # expect: SAW410, SAW305
        account.balance -= 1
    await session.commit()


@router.post("/bulk")
async def charge_bulk(ids: list[int], session: Keeping) -> None:
    await session.execute(update(Account).where(Account.id.in_(ids)).values(balance=Account.balance - 1))  # ok: SAW410
    await session.commit()


@router.post("/single/{account_id}")
async def deposit(account_id: int, amount: Decimal, session: Keeping) -> None:
    account = await lock_account(session, account_id)  # ok: SAW410
    account.balance += amount
    session.add(Entry(account_id=account_id, amount=amount))
    await session.commit()


@router.post("/refresh-lock")
async def transfer_refresh(body: Transfer, session: Keeping) -> None:
    source = await session.get_one(Account, body.source)
    target = await session.get_one(Account, body.target)
    await session.refresh(source, with_for_update=True)
    await session.refresh(target, with_for_update=True)  # expect: SAW410
    move(source, target, body.amount)
    await session.commit()


@router.post("/checked/{account_id}")
async def deposit_checked(account_id: int, amount: Decimal, session: Keeping) -> None:
    async with session.begin():
        account = await lock_account(session, account_id)
        answer = await http.post("https://fraud.example/check", json={"account": account_id})  # expect: SAW406
        if answer.json()["fraud"]:
            raise HTTPException(403)
        account.balance += amount


@router.post("/checked-first/{account_id}")
async def deposit_checked_first(account_id: int, amount: Decimal, session: Keeping) -> None:
    answer = await http.post("https://fraud.example/check", json={"account": account_id})  # ok: SAW406
    if answer.json()["fraud"]:
        raise HTTPException(403)
    async with session.begin():
        account = await lock_account(session, account_id)
        account.balance += amount


@router.post("/notified/{account_id}")
async def deposit_notified(account_id: int, amount: Decimal, session: Keeping) -> None:
    account = await lock_account(session, account_id)
    account.balance += amount
    await session.commit()
    await http.post("https://notify.example", json={"account": account_id})  # ok: SAW406


@router.post("/rated/{account_id}")
async def deposit_rated(account_id: int, amount: Decimal, session: Keeping) -> Decimal:
    account = await session.get_one(Account, account_id)
    async with httpx.AsyncClient() as client:
        response = await client.get(f"https://rates.example/{account.owner}")  # expect: SAW406
    account.balance += amount * Decimal(response.json()["rate"])
    await session.commit()
    return account.balance


@router.post("/slow/{account_id}")
async def deposit_slow(account_id: int, amount: Decimal) -> None:
    async with transaction() as session:
        account = await lock_account(session, account_id)
        await asyncio.sleep(1)  # expect: SAW406
        account.balance += amount


@router.post("/webhook/{account_id}")
async def deposit_webhook(account_id: int, amount: Decimal) -> None:
    async with KeepSession.begin() as session:
        await session.execute(update(Account).where(Account.id == account_id).values(balance=Account.balance + amount))
        await notify_partner(account_id)  # expect: SAW406


@router.post("/webhook-after/{account_id}")
async def deposit_webhook_after(account_id: int, amount: Decimal) -> None:
    async with KeepSession.begin() as session:
        await session.execute(update(Account).where(Account.id == account_id).values(balance=Account.balance + amount))
    await notify_partner(account_id)  # ok: SAW406


async def notify_partner(account_id: int) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.post("https://partner.example/hook", json={"id": account_id}) as response:  # ok: SAW406
            response.raise_for_status()


async def total(session: AsyncSession) -> Decimal:
    return await session.scalar(select(func.sum(Account.balance))) or Decimal(0)


async def count_entries(session: AsyncSession) -> int:
    return await session.scalar(select(func.count()).select_from(Entry)) or 0


@router.get("/summary")
async def summary(session: Keeping) -> dict:
    balance, entries = await asyncio.gather(total(session), count_entries(session))  # expect: SAW401
    return {"balance": balance, "entries": entries}


@router.get("/summary-serial")
async def summary_serial(session: Keeping) -> dict:
    balance = await total(session)  # ok: SAW401
    entries = await count_entries(session)  # ok: SAW401
    return {"balance": balance, "entries": entries}


async def own_total() -> Decimal:
    async with KeepSession() as session:
        return await total(session)


async def own_count() -> int:
    async with KeepSession() as session:
        return await count_entries(session)


@router.get("/summary-own")
async def summary_own() -> dict:
    balance, entries = await asyncio.gather(own_total(), own_count())  # ok: SAW401
    return {"balance": balance, "entries": entries}


@router.get("/summary-two")
async def summary_two() -> dict:
    async with KeepSession() as first, KeepSession() as second:
        balance, entries = await asyncio.gather(total(first), count_entries(second))  # ok: SAW401
    return {"balance": balance, "entries": entries}


@router.get("/summary-group")
async def summary_group(session: Keeping) -> dict:
    async with asyncio.TaskGroup() as group:
        balance = group.create_task(total(session))  # also: SAW401
        entries = group.create_task(count_entries(session))  # expect: SAW401
    return {"balance": balance.result(), "entries": entries.result()}


@router.get("/summary-group-own")
async def summary_group_own() -> dict:
    async with asyncio.TaskGroup() as group:
        balance = group.create_task(own_total())
        entries = group.create_task(own_count())  # ok: SAW401
    return {"balance": balance.result(), "entries": entries.result()}


@router.post("/balances")
async def balances(ids: list[int], session: Keeping) -> list[Decimal]:
    accounts = await asyncio.gather(*[session.get(Account, account_id) for account_id in ids])  # expect: SAW401
    return [account.balance for account in accounts if account]


@router.post("/balances-bulk")
async def balances_bulk(ids: list[int], session: Keeping) -> list[Decimal]:
    return list(await session.scalars(select(Account.balance).where(Account.id.in_(ids))))  # ok: SAW401, SAW305


@router.post("/mixed")
async def mixed(account_id: int, session: Keeping) -> Decimal:
    account, _ = await asyncio.gather(session.get_one(Account, account_id), notify_partner(account_id))  # ok: SAW401
    return account.balance


@router.post("/audit")
async def audit(account_id: int, session: Keeping) -> str:
    asyncio.create_task(write_audit(session, account_id))  # expect: SAW401
    account = await session.get_one(Account, account_id)
    return account.owner


@router.post("/audit-own")
async def audit_own(account_id: int, session: Keeping) -> str:
    asyncio.create_task(write_audit_own(account_id))  # ok: SAW401
    account = await session.get_one(Account, account_id)
    return account.owner


async def write_audit(session: AsyncSession, account_id: int) -> None:
    session.add(Entry(account_id=account_id, amount=0, note="read"))
    await session.commit()


async def write_audit_own(account_id: int) -> None:
    async with KeepSession() as session:
        await write_audit(session, account_id)


async def find_account(session: AsyncSession, account_id: int, *, for_update: bool = False) -> Account:
    statement = select(Account).where(Account.id == account_id)
    if for_update:
        statement = statement.with_for_update()
    return (await session.execute(statement)).scalar_one()


async def credit(session: AsyncSession, account: Account, amount: Decimal) -> Account:
    account.balance += amount
    await session.execute(update(Entry).where(Entry.account_id == account.id).values(note="credited"))
    return account


@router.post("/flag")
async def transfer_flag(body: Transfer, session: Keeping) -> None:
    source = await find_account(session, body.source, for_update=True)
    target = await find_account(session, body.target, for_update=True)  # expect: SAW410
    move(source, target, body.amount)
    await session.commit()


@router.post("/unlocked")
async def compare(body: Transfer, session: Keeping) -> bool:
    source = await find_account(session, body.source)
    target = await find_account(session, body.target)  # ok: SAW410
    return source.balance < target.balance


@router.post("/locked-once")
async def bonus(account_id: int, session: Keeping) -> Decimal:
    account = await find_account(session, account_id, for_update=True)
    account = await credit(session, account, Decimal(5))  # ok: SAW410
    await session.merge(account)  # ok: SAW410
    await session.commit()
    return account.balance
