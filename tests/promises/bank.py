"""A bank under concurrent clients: what each was told, held against what the database holds.

Clients move money with idempotency keys, over the service's own route, while readers add up all accounts in one
snapshot. Every answer is written down as what it promises: *acknowledged*, *refused*, *failed* (an error that
is not "commit unknown") or *in doubt*. Afterwards :meth:`Bank.audit` looks for promises that the database does
not keep.
"""

import asyncio
import json
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from starlette.types import Receive, Scope, Send

from sqlawait import Database
from sqlawait.fastapi import install
from sqlawait.service import crud
from sqlawait.service.main import refuse
from sqlawait.service.models import Account, Answer, Base, LedgerEntry, Transfer, User
from sqlawait.service.routers import accounts
from sqlawait.service.schemas import TransferCreate

ACCOUNTS = 8
OPENING = Decimal(200)


def careful_app(db: Database) -> FastAPI:
    """The service's accounts on this database."""
    app = FastAPI()
    install(app, db)
    app.add_exception_handler(crud.Refused, refuse)
    app.include_router(accounts.router)
    return app


def naive_app(db: Database) -> FastAPI:
    """The same route as the tutorials write it: read, compute, write, commit in the dependency's exit."""
    engine = create_async_engine(db.engine.url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    make_session = async_sessionmaker(engine, expire_on_commit=False)

    async def get_session() -> AsyncIterator[PlainSession]:
        async with make_session() as session:
            yield session
            await session.commit()

    @app.post("/transfers", status_code=201)
    async def transfer(
        body: TransferCreate,
        session: Annotated[PlainSession, Depends(get_session)],
        key: Annotated[str, Header(alias="Idempotency-Key")],
    ) -> dict[str, Any]:
        done = await session.get(Answer, key)
        if done is not None:
            answer: dict[str, Any] = json.loads(done.body)
            return answer
        source = await session.get(Account, body.source_id)
        target = await session.get(Account, body.target_id)
        assert source is not None
        assert target is not None
        if source.balance < body.amount:
            raise HTTPException(409, "not enough")
        made = Transfer(**body.model_dump())
        session.add(made)
        await session.flush()
        for account, amount in (source, -body.amount), (target, body.amount):
            account.balance += amount
            session.add(
                LedgerEntry(account_id=account.id, transfer_id=made.id, amount=amount, balance=account.balance)
            )
        answer = {"id": made.id}
        session.add(Answer(key=key, fingerprint="", status=201, body=json.dumps(answer)))
        return answer

    return app


@dataclass
class Told:
    """What the clients were told, by key."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """The transfer's id."""
    refused: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    """Told by an error that is not "commit unknown", and never sent again."""
    doubtful: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    """How often each kind of answer came."""
    wrong: list[str] = field(default_factory=list)
    """Answers and sights that are violations by themselves."""


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running application: it sees a 500, the test's output has the traceback."""

    async def telling(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            traceback.print_exc()
            raise

    transport = httpx.ASGITransport(telling, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://bank", timeout=30) as http,
    ):
        yield http


class Bank:
    """Clients and readers around an application.

    Parameters:
        db: the database itself, past any fault: for opening, reading and auditing.
        http: a client of the application.
        seed: of everything that is random here.
    """

    def __init__(self, db: Database, http: httpx.AsyncClient, seed: int) -> None:
        self.db = db
        self.http = http
        self.seed = seed
        self.told = Told()
        self.ids: list[int] = []
        self.finished = asyncio.Event()
        self.runs = 0

    async def open(self) -> None:
        """Create the tables and the accounts."""
        await self.db.create_all(Base.metadata)
        async with self.db.transaction() as session:
            user = await session.create(User, email="bank@example.com", name="Bank")
            for _ in range(ACCOUNTS):
                account = await session.create(Account, user_id=user.id, balance=OPENING)
                await session.create(LedgerEntry, account_id=account.id, amount=OPENING, balance=OPENING)
                self.ids.append(account.id)

    async def run(self, *, clients: int, transfers: int, until: asyncio.Event | None = None) -> None:
        """Let the clients work, with a reader beside them.

        Parameters:
            clients: how many at once.
            transfers: how many each makes at least.
            until: they go on until this is set.
        """
        self.runs += 1
        self.finished.clear()
        reader = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(clients):
                    group.create_task(self._client(number, transfers, until))
        finally:
            self.finished.set()
            await reader

    async def takes(self, *, transfers: int) -> float:
        """How long a client that is alone waits for a transfer, in seconds."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        self.runs += 1
        await self._client(0, transfers, None)
        return (loop.time() - start) / transfers

    async def _client(self, number: int, transfers: int, until: asyncio.Event | None) -> None:
        random = Random(f"{self.seed}/{self.runs}/{number}")
        turn = 0
        while turn < transfers or (until is not None and not until.is_set()):
            source, target = random.sample(self.ids, 2)
            order = {"source_id": source, "target_id": target, "amount": str(random.randint(1, 120))}
            await self._transfer(f"{self.seed}-{self.runs}-{number}-{turn}", order, random)
            turn += 1

    async def _transfer(self, key: str, order: dict[str, Any], random: Random) -> None:
        doubt = False
        for attempt in range(200):
            try:
                answer = await self.http.post("/transfers", json=order, headers={"Idempotency-Key": key})
            except httpx.TransportError as error:  # the server is gone: nobody can know
                self.told.answers[type(error).__name__] += 1
                doubt = True
            else:
                kind = self._kind(answer)
                self.told.answers[kind] += 1
                if answer.status_code == 201:
                    self.told.acknowledged[key] = answer.json()["id"]
                    return
                if answer.status_code == 409:
                    self.told.refused.add(key)
                    return
                if kind == "500 commit-unknown":
                    doubt = True
                elif answer.status_code != 503 or "retry-after" not in answer.headers:
                    self.told.wrong.append(f"{key}: {answer.status_code} {answer.text[:200]}")
                    doubt = True
            if random.random() < 0.2:  # some clients give up
                break
            await asyncio.sleep(random.uniform(0, min(0.2, 0.01 * 2**attempt)))  # what Retry-After asks for
        (self.told.doubtful if doubt else self.told.failed).add(key)

    @staticmethod
    def _kind(answer: httpx.Response) -> str:
        if answer.headers.get("content-type") == "application/problem+json":
            kind = answer.json().get("type", "").removeprefix("urn:sqlawait:")
            return f"{answer.status_code} {kind}"
        return str(answer.status_code)

    async def _watch(self) -> None:
        """Add up all balances in one snapshot, again and again."""
        while not self.finished.is_set():
            with suppress(Exception):  # the database may be away meanwhile: then there is nothing to see
                async with self.db.transaction(read_only=True) as session:
                    total, least = (
                        await session.execute(select(func.sum(Account.balance), func.min(Account.balance)))
                    ).one()
                if total != ACCOUNTS * OPENING:
                    self.told.wrong.append(f"a reader saw {total} in all accounts, not {ACCOUNTS * OPENING}")
                if least < 0:
                    self.told.wrong.append(f"a reader saw a balance of {least}")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self.finished.wait()

    async def audit(self) -> list[str]:
        """Every promise that the database does not keep, in words; empty is right.

        All is read in one snapshot: a request whose client has given up may be done at any time later.
        """
        level = None if self.db.dialect == "sqlite" else "REPEATABLE READ"
        async with self.db.transaction(read_only=True, isolation_level=level) as session:
            answers = {answer.key: json.loads(answer.body)["id"] for answer in await session.find_all(Answer)}
            transfers = {transfer.id: transfer for transfer in await session.find_all(Transfer)}
            accounts = await session.find_all(Account)
            ledger = await session.find_all(LedgerEntry)
        told, found = self.told, list(self.told.wrong)
        booked: dict[int | None, list[LedgerEntry]] = {}
        for entry in ledger:
            booked.setdefault(entry.transfer_id, []).append(entry)
        for key, made in told.acknowledged.items():
            if answers.get(key) != made or made not in transfers:
                found.append(f"acknowledged and lost: {key}")
        found += [f"refused and stored: {key}" for key in told.refused & answers.keys()]
        found += [f"failed and stored: {key}" for key in told.failed & answers.keys()]
        found += [f"stored and never asked for: {key}" for key in answers.keys() - self._asked()]
        if len(answers) != len(transfers) or len(set(answers.values())) != len(answers):
            found.append(f"{len(transfers)} transfers for {len(answers)} keys")
        for made, transfer in transfers.items():
            amounts = sorted(entry.amount for entry in booked.pop(made, []))
            if amounts != [-transfer.amount, transfer.amount]:
                found.append(f"transfer {made} of {transfer.amount} is booked as {amounts}")
        for account in accounts:
            entries = sum(entry.amount for entry in ledger if entry.account_id == account.id)
            if account.balance != entries:
                found.append(f"account {account.id} holds {account.balance}, its ledger says {entries}")
            if account.balance < 0:
                found.append(f"account {account.id} is overdrawn")
        total = sum(account.balance for account in accounts)
        if total != ACCOUNTS * OPENING:
            found.append(f"the accounts hold {total}, not {ACCOUNTS * OPENING}")
        return found

    def _asked(self) -> set[str]:
        told = self.told
        return told.acknowledged.keys() | told.refused | told.failed | told.doubtful
