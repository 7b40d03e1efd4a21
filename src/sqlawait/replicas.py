"""The replicas of a PostgreSQL: which of them may serve a read, for whom.

Two things are known of each: whether it answers as a replica of this primary, and the position in the primary's
log up to which it holds everything. A task asks all servers a few times a second, so to choose one for a read
costs no round trip. How far a replica may be behind is told by a position too, that of the primary ``max_lag``
ago: no clock of another machine is believed, and an idle primary makes nobody late.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlawait.backends import failure_of
from sqlawait.events import Observer, ReplicaChanged

logger = logging.getLogger("sqlawait")

_EVERY = 0.25
"""Seconds between two looks at a server."""

_BELIEVED = 1.0
"""Seconds for which what a replica said about itself is believed."""

NEVER = 2**63 - 1
"""A position that no log reaches: who must have it reads from the primary."""

_UNKNOWN = float("-inf")

_STATE = text(
    "SELECT pg_is_in_recovery() AS replica, system_identifier AS cluster, coalesce(pg_wal_lsn_diff("
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,"
    " '0/0'), 0)::bigint AS position FROM pg_control_system()"
)


class Server(Protocol):
    """What is asked of a Database here."""

    @property
    def engine(self) -> AsyncEngine:
        """Its engine."""
        ...

    def reader_bind(self) -> AsyncEngine:
        """The engine of sessions that read."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(slots=True)
class Client:
    """On whose behalf the current task works, and what it must see.

    Attributes:
        after: the position of its last write, as far as it is known.
        wrote: whether it may have written since. Where that is can be known once it has committed; until then
            it reads from the primary.
    """

    after: int = 0
    wrote: bool = False


class Replica:
    """A replica and what is known of it.

    Parameters:
        server: where sessions read.
        watched: the same with one connection of its own, so that load does not make it look unwell.
    """

    def __init__(self, server: Server, watched: Server) -> None:
        self.server = server
        self.watched = watched
        self.told: tuple[bool, str] = (False, "")
        self.forget()

    def forget(self) -> None:
        """Believe nothing of it until it is asked again."""
        self.seen = _UNKNOWN
        self.position = 0
        self.reason = "not asked yet"

    def fail(self, reason: str) -> None:
        """It is not to be read from until it has answered again."""
        self.seen = _UNKNOWN
        self.reason = reason

    def listen(self) -> None:
        """Learn of a lost connection when a request does, not at the next look."""
        engine = self.server.engine.sync_engine
        _tell_of_lost_connections(engine, lambda error: self.fail(str(failure_of(error) or "away")))


class Replicas:
    """The replicas of a primary, taken in turn.

    Parameters:
        primary: the primary, with a connection of its own.
        replicas: each replica twice: for reads, and with a connection of its own.
        max_lag: seconds that a replica may be behind.
        observers: told when a replica is left out or taken back.
    """

    def __init__(
        self,
        primary: Server,
        replicas: Sequence[Replica],
        *,
        max_lag: float,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.max_lag = max_lag
        self._primary = primary
        self._replicas = replicas
        self._observers = observers
        self._client: ContextVar[Client | None] = ContextVar("sqlawait_client", default=None)
        self._turn = 0
        self.forget()

    # -- who reads

    @contextmanager
    def client(self, after: int = 0) -> Iterator[Client]:
        """Work for a client, whose last write is at ``after``, in this block and the tasks it starts."""
        client = Client(after)
        token = self._client.set(client)
        try:
            yield client
        finally:
            self._client.reset(token)

    def note_write(self) -> None:
        """Whoever works in this context may write from now on."""
        client = self._client.get()
        if client is None:
            self._client.set(Client(wrote=True))
        else:
            client.wrote = True

    def choose(self, after: int | None = None) -> Server | None:
        """The replica whose turn it is among those that may serve; None where the primary has to.

        Parameters:
            after: a position that it must hold; by default what the client of this context has written.
        """
        if self._task is None:
            self._start()
        client = self._client.get()
        if after is None and client is not None:
            after = NEVER if client.wrote else client.after
        floor = max(self._floor, after or 0)
        believed = time.monotonic() - _BELIEVED
        fit = [one for one in self._replicas if one.seen > believed and one.position >= floor]
        if not fit:
            return None
        self._turn += 1
        return fit[self._turn % len(fit)].server

    @property
    def engines(self) -> list[AsyncEngine]:
        """The engines that are read from."""
        return [replica.server.engine for replica in self._replicas]

    # -- lifecycle

    async def open(self) -> None:
        """Ask every server once, and go on asking. A replica that is away is no error."""
        if self._task is None:
            self._start()
        await self._looked.wait()

    async def close(self) -> None:
        """Stop asking and close the connections to the replicas."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.forget()
        servers = [self._primary, *(server for one in self._replicas for server in (one.server, one.watched))]
        await asyncio.gather(*(server.close() for server in servers))

    def forget(self) -> None:
        """Start anew at the next use: the event loop, or the process, is another one."""
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._history: deque[tuple[float, int]] = deque()
        self._floor = 0
        self._cluster: int | None = None
        for replica in self._replicas:
            replica.forget()

    def _start(self) -> None:
        for replica in self._replicas:
            replica.listen()
        # not in the context of whoever comes first: it would be taken for a part of that request
        self._task = asyncio.get_running_loop().create_task(self._watch(), context=Context())

    async def _watch(self) -> None:
        await self._look_at_primary()  # what a replica has to reach is known before any may serve
        await asyncio.gather(*(self._look_at(replica) for replica in self._replicas))
        self._looked.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._look_at_primary))
            for replica in self._replicas:
                group.create_task(self._repeat(self._look_at, replica))

    async def _repeat(self, look: Callable[..., Any], *arguments: Any) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await look(*arguments)

    # -- what is known

    async def _look_at_primary(self) -> None:
        now = time.monotonic()
        try:
            state = await _ask(self._primary)
        except Exception:  # whatever it is, the watch goes on
            position = None  # while it is away the replicas serve: they are held to what was known of it
        else:
            position = None if state.replica else state.position
            self._cluster = state.cluster
        if position is not None:
            if self._history and (now - self._history[-1][0] > self.max_lag or position < self._history[-1][1]):
                self._history.clear()  # nobody knows where it was meanwhile, or another server has taken over
            self._history.append((now, position))
        while len(self._history) > 1 and self._history[1][0] <= now - self.max_lag:
            self._history.popleft()
        self._floor = self._history[0][1] if self._history else 0

    async def _look_at(self, replica: Replica) -> None:
        try:
            state = await _ask(replica.watched)
        except Exception as error:  # whatever it is, the watch goes on
            replica.fail(str(failure_of(error) or "away"))
        else:
            replica.position = state.position
            if not state.replica:
                replica.fail("it is no replica any more")
            elif self._cluster not in {None, state.cluster}:
                replica.fail("it is a replica of another server")
            else:
                replica.seen = time.monotonic()
                replica.reason = f"more than {self.max_lag:g} s behind"
        self._tell(replica)

    def _tell(self, replica: Replica) -> None:
        in_use = replica.seen > _UNKNOWN and replica.position >= self._floor
        state = in_use, "" if in_use else replica.reason
        if state == replica.told:
            return
        replica.told = state
        url = replica.server.engine.url
        change = ReplicaChanged(f"{url.host}:{url.port or 5432}", *state)
        level = logging.INFO if in_use else logging.WARNING
        logger.log(level, "replica %s %s", change.server, "serves reads" if in_use else f"left out: {state[1]}")
        for observer in self._observers:
            observer(change)


async def position_of(engine: AsyncEngine) -> int:
    """Where the log of a primary is now: after a commit, a place that holds it."""
    async with engine.connect() as connection:
        return int((await connection.execute(_STATE)).one().position)


async def _ask(server: Server) -> Any:
    async with server.reader_bind().connect() as connection:
        return (await connection.execute(_STATE)).one()


def _tell_of_lost_connections(engine: Engine, lost: Callable[[BaseException], None]) -> None:
    dialect = engine.dialect
    connect = dialect.connect

    def dialect_connect(*arguments: Any, **options: Any) -> Any:
        try:
            return connect(*arguments, **options)
        except Exception as error:
            lost(error)
            raise

    dialect.connect = dialect_connect  # type: ignore[method-assign] # no event tells of a connection that failed

    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        if context.is_disconnect:
            lost(context.original_exception)


__all__ = ["NEVER", "Client", "Replica", "Replicas", "Server", "position_of"]
