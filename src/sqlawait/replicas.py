"""Reads from streaming replicas of a PostgreSQL, without reading what is older than one's own writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, text
from sqlalchemy.exc import SQLAlchemyError

from sqlawait.backends import Failure, failure_of
from sqlawait.database import Database
from sqlawait.exceptions import InvalidRequest, SqlawaitError, Unsupported
from sqlawait.session import AsyncSession

_STATE = text(
    "SELECT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),"
    " pg_last_wal_replay_lsn()::text,"
    " CASE WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0"
    " ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float END"
)

_POSITION = text("SELECT pg_current_wal_flush_lsn()::text")


@dataclass
class _Replica:
    db: Database
    asked: float = float("-inf")
    """When it was last asked, by the monotonic clock."""
    usable: bool = False
    replayed: int = 0
    """The position in the primary's log up to which it holds everything."""


class Replicas:
    """The replicas of a primary, taken in turn.

    A replica that is away, no longer streams from its primary, was promoted, or is more than ``max_lag`` behind
    is left out until it is well again; where none is left, the primary serves.

    Parameters:
        primary: where writes go.
        urls: the replicas', completed as :class:`Database` completes its own.
        max_lag: seconds that a replica may be behind.
        patience: seconds for which what a replica said about itself is believed.
        **options: of each replica's :class:`Database`.

    Raises:
        Unsupported: the primary is no PostgreSQL.

    Example::

        async with db, Replicas(db, ["postgresql://one/shop", "postgresql://two/shop"]) as replicas:
            async with db.transaction() as session:
                await session.create(User, email="ada@example.com")
            written = await replicas.position()
            async with replicas.reader(after=written) as session:  # sees Ada, wherever it reads
                await session.find(User, email="ada@example.com")
    """

    def __init__(
        self,
        primary: Database,
        urls: Sequence[str | URL],
        *,
        max_lag: float = 5.0,
        patience: float = 1.0,
        **options: Any,
    ) -> None:
        if primary.dialect != "postgresql":
            raise Unsupported(
                "reads from replicas", primary.dialect, "use PostgreSQL with streaming replication"
            )
        self.primary = primary
        self.max_lag = max_lag
        self.patience = patience
        self._replicas = [_Replica(Database(url, **options)) for url in urls]
        self._turn = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections to the replicas; the primary is its owner's to close."""
        await asyncio.gather(*(replica.db.close() for replica in self._replicas))

    async def position(self) -> str:
        """Where the primary's log is now: after a commit, a place that holds it. Give it to a client as it is.

        It may travel in a cookie or header: a made-up one can only send its reads to the primary.
        """
        async with self.primary.reader() as session:
            return str(await session.scalar(_POSITION))

    @asynccontextmanager
    async def reader(self, *, after: str | None = None) -> AsyncIterator[AsyncSession]:
        """A session that reads and opens no transaction, on a replica, else on the primary.

        Parameters:
            after: a :meth:`position`: only a replica that has replayed it will do.

        Raises:
            InvalidRequest: ``after`` is no position.
        """
        replica = await self._choose(0 if after is None else _number(after))
        async with AsyncExitStack() as stack:
            db = self.primary if replica is None else replica.db
            session = await stack.enter_async_context(db.reader())
            try:
                yield session
            except (SQLAlchemyError, SqlawaitError) as error:
                if replica is not None and failure_of(error) is Failure.AWAY:
                    replica.usable = False
                raise

    async def _choose(self, after: int) -> _Replica | None:
        self._turn += 1
        for number in range(len(self._replicas)):
            replica = self._replicas[(self._turn + number) % len(self._replicas)]
            old = time.monotonic() - replica.asked > self.patience
            if old or (replica.usable and replica.replayed < after):
                await self._ask(replica)
            if replica.usable and replica.replayed >= after:
                return replica
        return None

    async def _ask(self, replica: _Replica) -> None:
        replica.asked = time.monotonic()
        try:
            async with replica.db.reader() as session:
                streaming, replayed, lag = (await session.execute(_STATE)).one()
        except (SQLAlchemyError, SqlawaitError):
            replica.usable = False
            return
        replica.usable = bool(streaming) and lag is not None and lag <= self.max_lag
        replica.replayed = _number(replayed) if replayed else 0


def _number(position: str) -> int:
    """A position of PostgreSQL's log (``16/B374D848``) as a number."""
    high, _, low = position.partition("/")
    try:
        return (int(high, 16) << 32) + int(low, 16)
    except ValueError:
        raise InvalidRequest(f"{position[:40]!r} is no position; give one that position() gave") from None


__all__ = ["Replicas"]
