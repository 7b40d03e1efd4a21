"""The fair pool: first come, first served.

SQLAlchemy's async pool stands on :class:`asyncio.Queue`, where a late arrival may take the connection that a
waiter was woken for; the waiter then goes to the end of the line, again and again under load. Here a connection
that comes back is *handed* to the first in the line, so nobody overtakes, and the slowest request waits about
as long as the average one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy import exc
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, Pool, PoolProxiedConnection
from sqlalchemy.util import await_only, greenlet_spawn

from sqlawait.backends import Backend
from sqlawait.events import ConnectionDiscarded, ConnectionWaited, Observer
from sqlawait.exceptions import PoolTimeout

if TYPE_CHECKING:
    # The record's dates of birth and death are not part of its public face ConnectionPoolEntry.
    from sqlalchemy.pool.base import _ConnectionRecord

_EXPIRED: Final = object()
_waits: ContextVar[bool] = ContextVar("sqlawait_waits", default=True)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Have a connection only if it is free: within this block, :class:`PoolTimeout` is raised at once.

    For whoever holds a connection and could do with another: to wait for it would be to wait for others who do
    the same.
    """
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


class FairPool(AsyncAdaptedQueuePool):
    """A pool for async engines that hands connections out strictly in the order in which they were asked for.

    Its connections are opened when they are first needed and then kept; there is never one more than its size.
    Pre-ping, recycling, invalidation, ``reset_on_return`` and pool events are SQLAlchemy's own.

    Parameters:
        creator: opens a connection; ``create_async_engine`` gives it.
        pool_size: how many connections there may be, at least 1.
        max_overflow: added to ``pool_size``, so that settings made for SQLAlchemy's pool keep their bound.
            There is no overflow here: each connection is kept.
        timeout: how long one may wait in the line, in seconds (``pool_timeout`` of ``create_async_engine``).
            0 does not wait.
        observers: told of each :class:`sqlawait.events.ConnectionWaited` and
            :class:`sqlawait.events.ConnectionDiscarded`.
        backend: judges connections without a round trip: one that has ended is not handed out, and one that
            comes back with its transaction open is closed, so that the next request does not inherit it.
        **options: those of :class:`sqlalchemy.pool.Pool`.

    Raises:
        sqlalchemy.exc.ArgumentError: the size has no bound.

    Example::

        engine = create_async_engine(url, poolclass=FairPool, pool_size=10, pool_timeout=5)
    """

    def __init__(  # noqa: PLR0917 - create_engine() passes on those arguments only that are not keyword-only
        self,
        creator: Callable[..., Any],
        pool_size: int = 10,
        max_overflow: int = 0,
        timeout: float = 5.0,
        observers: Sequence[Observer] = (),
        backend: Backend | None = None,
        **options: Any,
    ) -> None:
        Pool.__init__(self, creator, **options)  # the parent is for isinstance(): its queue is what we replace
        if pool_size < 1 or max_overflow < 0:
            raise exc.ArgumentError(
                f"pool_size={pool_size}, max_overflow={max_overflow} sets no bound;"
                " give a pool_size of at least 1 and leave max_overflow out"
            )
        self._size = pool_size + max_overflow
        self._timeout = timeout
        self._observers = observers
        self._backend = backend
        self._idle: list[_ConnectionRecord] = []  # the last one back is the first one out: its caches are warm
        self._line: OrderedDict[asyncio.Future[Any], None] = OrderedDict()
        self._taken = 0  # places in use: idle, out, or being opened
        self._disposed_at = 0.0

    def size(self) -> int:
        """How many connections there may be."""
        return self._size

    def timeout(self) -> float:
        """How long one may wait, in seconds."""
        return self._timeout

    def checkedin(self) -> int:
        """How many connections are free."""
        return len(self._idle)

    def checkedout(self) -> int:
        """How many connections are out or being opened."""
        return self._taken - len(self._idle)

    def overflow(self) -> int:
        """Always 0; here for what reads SQLAlchemy's pools."""
        return 0

    def waiting(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    def free(self) -> int:
        """How many connections could be had at once: none while anybody waits."""
        return 0 if self._line else self._size - self.checkedout()

    def status(self) -> str:
        """The figures in one line."""
        return (
            f"Pool size: {self._size}  Connections in pool: {self.checkedin()}"
            f" Current Checked out connections: {self.checkedout()} Waiting: {self.waiting()}"
        )

    def recreate(self) -> Self:
        """A new, empty pool with the same settings."""
        self.logger.info("Pool recreating")
        return self.__class__(
            self._creator,
            pool_size=self._size,
            timeout=self._timeout,
            observers=self._observers,
            backend=self._backend,
            recycle=self._recycle,
            echo=self.echo,
            logging_name=self._orig_logging_name,
            reset_on_return=self._reset_on_return,
            pre_ping=self._pre_ping,
            _dispatch=self.dispatch,
            dialect=self._dialect,
        )

    def dispose(self) -> None:
        """Close the free connections now, and those that are out when they come back."""
        self._disposed_at = time.time()
        while self._idle:
            record = self._idle.pop()
            try:
                record.close()
            finally:
                self._offer(None)
        self.logger.info("Pool disposed. %s", self.status())

    async def take(self) -> Lease:
        """A connection for work that needs the driver itself and leaves no transaction behind.

        It stands in the same line as everybody else and counts as checked out, but costs no greenlet, proxy or
        reset where the connection is free and fresh. Give it back with :meth:`give`, whatever happens.

        Raises:
            PoolTimeout: none came free in time.
        """
        if self._pre_ping or self.dispatch.checkout or self.dispatch.checkin:
            proxy = await greenlet_spawn(self.connect)
            return Lease(proxy, proxy)
        record: _ConnectionRecord | None
        if self._idle:
            record = self._idle.pop()
        elif self._taken < self._size:
            self._taken += 1
            record = None
        else:
            record = await self._wait()
        if record is None or not self._is_fresh(record):
            record = await greenlet_spawn(self._freshen, record)
        return Lease(record, None)

    def start(self, lease: Lease) -> None:
        """Start the clock of a statement that is about to go to the lease's driver itself."""
        if self._backend is not None:
            self._backend.start_clock(lease._holder)

    async def give(self, lease: Lease, *, broken: BaseException | None = None) -> None:
        """Take a lease back; ``broken`` says why its connection may not be used again, and closes it."""
        if lease._proxy is None and broken is None and not self._is_dirty(lease._holder):
            self._take_back(lease._holder)
        else:
            # Shielded, as in SQLAlchemy's own context managers: a cancelled request still gives it back.
            await asyncio.shield(asyncio.ensure_future(greenlet_spawn(self._give_back, lease, broken)))

    def _give_back(self, lease: Lease, broken: BaseException | None) -> None:
        try:
            if broken is not None:
                lease._holder.invalidate(broken)
        finally:
            if lease._proxy is None:
                self._do_return_conn(lease._holder)
            elif lease._proxy.is_valid:
                lease._proxy.close()

    def _is_fresh(self, record: _ConnectionRecord) -> bool:
        born = record.starttime
        return (
            not self._has_ended(record)
            and record.dbapi_connection is not None
            and self._invalidate_time <= born
            and record._soft_invalidate_time <= born
            and (self._recycle < 0 or time.time() - born <= self._recycle)
        )

    def _freshen(self, record: _ConnectionRecord | None) -> _ConnectionRecord:
        """Open the connection of a place that is ours, or replace one that is not to be used any more."""
        try:
            if record is None:
                return self._create_connection()  # type: ignore[return-value]  # declared as its public face
            if self._has_ended(record):
                record.invalidate()
            record.get_connection()
        except BaseException:
            self._offer(record)  # now without a connection: the next one who gets it connects
            raise
        return record

    def _has_ended(self, record: _ConnectionRecord) -> bool:
        return (
            self._backend is not None
            and record.dbapi_connection is not None
            and self._backend.closed(record.driver_connection)
        )

    def _is_dirty(self, record: ConnectionPoolEntry) -> bool:
        return (
            self._backend is not None
            and record.dbapi_connection is not None
            and self._backend.in_transaction(record.driver_connection)
        )

    def _do_get(self) -> _ConnectionRecord:
        record: _ConnectionRecord | None = None
        if self._idle:
            record = self._idle.pop()
        elif self._taken < self._size:
            self._taken += 1
        else:
            record = await_only(self._wait())
        if record is None or self._has_ended(record):
            return self._freshen(record)
        return record

    def _do_return_conn(self, record: Any) -> None:
        try:
            if self._is_dirty(record):
                record.invalidate()
                self._tell(ConnectionDiscarded("it came back with a transaction open"))
        finally:
            self._take_back(record)  # also where closing it was cancelled: its place is not lost

    def _take_back(self, record: Any) -> None:
        if record.starttime < self._disposed_at:
            try:
                record.close()
            finally:
                self._offer(None)
        else:
            self._offer(record)

    async def _wait(self) -> Any:
        """Stand in the line; gives a record, or None for a place in which to open a connection."""
        ahead = len(self._line)
        if not _waits.get():
            raise PoolTimeout(self._size, 0, ahead)
        loop = asyncio.get_running_loop()
        started = loop.time()
        turn: asyncio.Future[Any] = loop.create_future()
        self._line[turn] = None
        timer = loop.call_later(self._timeout, self._expire, turn)
        # The garbage collector returns lost connections at any moment, also between the look and the queueing.
        if self._idle:
            self._offer(self._idle.pop())
        served: Any = _EXPIRED
        try:
            served = await turn
            if served is _EXPIRED:
                raise PoolTimeout(self._size, self._timeout, ahead)
            self._tell(ConnectionWaited(loop.time() - started, ahead))
        except BaseException:
            self._line.pop(turn, None)
            if served is _EXPIRED and turn.done() and not turn.cancelled():
                served = (
                    turn.result()
                )  # cancelled in the moment between being handed a connection and waking up
            if served is not _EXPIRED:
                self._offer(served)
            else:
                self._tell(ConnectionWaited(loop.time() - started, ahead))
            raise
        finally:
            timer.cancel()
        return served

    def _tell(self, event: object) -> None:
        for observer in self._observers:
            observer(event)

    def _expire(self, turn: asyncio.Future[Any]) -> None:
        if not turn.done():
            self._line.pop(turn, None)
            turn.set_result(_EXPIRED)

    def _offer(self, record: _ConnectionRecord | None) -> None:
        """Hand a connection, or a place for one (None), to the first in the line; else keep it."""
        while self._line:
            turn, _ = self._line.popitem(last=False)
            if turn.done():
                continue
            loop = turn.get_loop()
            if loop is _running_loop():
                turn.set_result(record)
                return
            # Only the garbage collector comes here: in another thread, or with waiters of a loop that is gone.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._hand_over, turn, record)
                return
        if record is None:
            self._taken -= 1
        else:
            self._idle.append(record)

    def _hand_over(self, turn: asyncio.Future[Any], record: _ConnectionRecord | None) -> None:
        if turn.done():
            self._offer(record)
        else:
            turn.set_result(record)


class Lease:
    """One connection, out of the pool until it is given back."""

    __slots__ = ("_holder", "_proxy")

    def __init__(self, holder: Any, proxy: PoolProxiedConnection | None) -> None:
        self._holder = holder
        self._proxy = proxy

    @property
    def adapted(self) -> Any:
        """SQLAlchemy's connection around the driver's."""
        return self._holder.dbapi_connection

    @property
    def driver(self) -> Any:
        """The driver's own connection, such as an ``asyncpg.Connection``."""
        return self._holder.driver_connection


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


__all__ = ["FairPool", "Lease", "without_waiting"]
