"""Accounts and transfers: the money is exact, conserved, and moved once."""

from __future__ import annotations

import random
from asyncio import gather
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from httpx2 import AsyncClient

Make = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def accounts(make: Make, user: dict[str, Any]) -> list[int]:
    """Four accounts with 100.00 each."""
    return [(await make("/accounts", user_id=user["id"], balance="100.00"))["id"] for _ in range(4)]


async def balance(client: AsyncClient, account: int) -> Decimal:
    return Decimal((await client.get(f"/accounts/{account}")).json()["balance"])


async def ledger(client: AsyncClient, account: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (await client.get(f"/accounts/{account}/ledger?limit=100")).json()["items"]
    return entries


def order(source: int, target: int, amount: str) -> dict[str, Any]:
    return {"source_id": source, "target_id": target, "amount": amount}


async def test_a_transfer_moves_money_and_is_in_both_ledgers(client: AsyncClient, accounts: list[int]) -> None:
    """The balances change by the amount, to the cent, and each ledger says why."""
    a, b, *_ = accounts
    done = await client.post("/transfers", json=order(a, b, "0.10"))
    assert done.status_code == 201
    assert (await balance(client, a), await balance(client, b)) == (Decimal("99.90"), Decimal("100.10"))
    assert (await client.get(f"/transfers/{done.json()['id']}")).json() == done.json()
    for account, amount in (a, "-0.10"), (b, "0.10"):
        entry = (await ledger(client, account))[-1]
        assert (entry["amount"], entry["transfer_id"]) == (amount, done.json()["id"])


async def test_a_ledger_adds_up_to_its_balance(client: AsyncClient, accounts: list[int]) -> None:
    """The opening balance is an entry as well."""
    a, b, *_ = accounts
    for amount in ("1.11", "2.22", "3.33"):
        await client.post("/transfers", json=order(a, b, amount))
    for account in a, b:
        entries = await ledger(client, account)
        assert sum(Decimal(entry["amount"]) for entry in entries) == await balance(client, account)
        assert Decimal(entries[-1]["balance"]) == await balance(client, account)


async def test_an_account_is_never_overdrawn(client: AsyncClient, accounts: list[int]) -> None:
    """One cent too many is a conflict that changes nothing; the last cent can be spent."""
    a, b, *_ = accounts
    refused = await client.post("/transfers", json=order(a, b, "100.01"))
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert len(await ledger(client, a)) == 1
    assert (await client.post("/transfers", json=order(a, b, "100.00"))).status_code == 201
    assert (await balance(client, a), await balance(client, b)) == (0, 200)


async def test_a_transfer_needs_two_accounts_and_an_amount(client: AsyncClient, accounts: list[int]) -> None:
    """To itself, of nothing, of less than nothing, of part of a cent: 422. To nowhere: 404."""
    a, b, *_ = accounts
    for wrong in (
        order(a, a, "1"),
        order(a, b, "0"),
        order(a, b, "-1"),
        order(a, b, "0.001"),
        order(a, b, "NaN"),
    ):
        assert (await client.post("/transfers", json=wrong)).status_code == 422, wrong
    assert (await client.post("/transfers", json=order(a, 999_999, "1"))).status_code == 404
    assert await balance(client, a) == 100


async def test_a_key_makes_a_transfer_happen_once(client: AsyncClient, accounts: list[int]) -> None:
    """The same key and body give the stored answer; the same key with another body is refused with 422."""
    a, b, *_ = accounts
    key = {"Idempotency-Key": "a-key-of-the-client"}
    first = await client.post("/transfers", json=order(a, b, "10"), headers=key)
    again = await client.post("/transfers", json=order(a, b, "10"), headers=key)
    other = await client.post("/transfers", json=order(a, b, "11"), headers=key)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    assert await balance(client, a) == 90


async def test_a_key_counts_once_among_many_at_once(client: AsyncClient, accounts: list[int]) -> None:
    """Twelve requests with one key at once move the money once, and none fails on the server's side."""
    a, b, *_ = accounts
    key = {"Idempotency-Key": "pressed-twelve-times"}
    answers = await gather(*(client.post("/transfers", json=order(a, b, "10"), headers=key) for _ in range(12)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {201, 409}, [answer.text for answer in answers]
    assert statuses[201] >= 1
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert await balance(client, a) == 90


async def test_a_refused_transfer_can_be_tried_again_with_its_key(
    client: AsyncClient, accounts: list[int]
) -> None:
    """A key is spent by what was committed, not by what was refused."""
    a, b, c, _ = accounts
    key = {"Idempotency-Key": "too-early"}
    assert (await client.post("/transfers", json=order(a, b, "150"), headers=key)).status_code == 409
    await client.post("/transfers", json=order(c, a, "50"))
    assert (await client.post("/transfers", json=order(a, b, "150"), headers=key)).status_code == 201


async def test_money_is_conserved_among_transfers_at_once(client: AsyncClient, accounts: list[int]) -> None:
    """Sixty transfers at once in all directions: no deadlock reaches a client, no cent is lost or made."""
    dice = random.Random(7)
    orders = [order(*dice.sample(accounts, 2), f"{dice.randint(1, 9000) / 100:.2f}") for _ in range(60)]
    answers = await gather(*(client.post("/transfers", json=each) for each in orders))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {201, 409}, statuses
    balances = [await balance(client, account) for account in accounts]
    assert sum(balances) == 400
    assert min(balances) >= 0
    for account, held in zip(accounts, balances, strict=True):
        assert sum(Decimal(entry["amount"]) for entry in await ledger(client, account)) == held
