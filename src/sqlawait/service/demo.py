"""Something to look at: people, posts, goods, money, and the documentation of the running Python."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from decimal import Decimal

from sqlawait import AsyncSession
from sqlawait.service.embedder import Embedder
from sqlawait.service.models import Account, Category, Document, Item, LedgerEntry, Post, User

NAMES = "Ada Alan Barbara Brian Donald Edgar Edsger Frances Grace Jean John Ken Margaret Niklaus Radia Tim"
GOODS = {
    "Books": {"The Art of Computer Programming": "199.00", "Structure and Interpretation": "64.99"},
    "Instruments": {"Slide rule": "24.50", "Abacus": "19.95", "Difference engine": "17470.00"},
    "Stationery": {"Punched cards, 1000": "12.00", "Paper tape": "3.75"},
}
MODULES = """
asyncio bisect calendar collections concurrent.futures contextlib contextvars copy csv dataclasses datetime
decimal difflib enum fractions functools glob graphlib hashlib heapq html inspect io ipaddress itertools json
logging math operator os pathlib pickle queue random re sched secrets shutil signal socket sqlite3 statistics
string struct subprocess tempfile textwrap threading time tomllib traceback types typing unicodedata
urllib.parse uuid weakref zipfile zoneinfo
"""


async def load(session: AsyncSession, embed: Embedder | None) -> None:
    """Fill an empty database; one that has users is left alone."""
    if await session.exists(User):
        return
    for number, name in enumerate(NAMES.split(), start=1):
        user = await session.create(User, email=f"{name.lower()}@example.com", name=name)
        await session.bulk_insert(
            Post,
            [{"user_id": user.id, "title": f"Note {n}", "body": f"{name}'s note {n}."} for n in range(1, 11)],
        )
        balance = Decimal(100 * number)
        account = await session.create(Account, user_id=user.id, balance=balance)
        await session.create(LedgerEntry, account_id=account.id, amount=balance, balance=balance)
    for shelf, goods in GOODS.items():
        category = await session.create(Category, name=shelf)
        for name, price in goods.items():
            await session.create(Item, category_id=category.id, name=name, description="", price=Decimal(price))
    if embed:
        rows = [
            {"title": name, "text": text, "embedding": embed(f"{name} {text}")} for name, text in docstrings()
        ]
        await session.bulk_insert(Document, rows)


def docstrings() -> Iterator[tuple[str, str]]:
    """The documentation of well-known modules of the standard library: (name, text), in order."""
    for name in MODULES.split():
        module = importlib.import_module(name)
        if text := inspect.getdoc(module):
            yield name, text[:2000]
        for public in getattr(module, "__all__", None) or sorted(vars(module)):
            thing = getattr(module, public)
            if public.startswith("_") or not (inspect.isroutine(thing) or inspect.isclass(thing)):
                continue
            if (text := inspect.getdoc(thing)) and len(text) > 20:
                yield f"{name}.{public}", text[:2000]
