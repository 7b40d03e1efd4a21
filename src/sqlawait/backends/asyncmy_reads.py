"""Bounds for what asyncmy reads: how much ahead, and for how long it waits."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

_UNREAD = 256 * 1024
"""Bytes that have come and are not yet taken, at which reading pauses."""


def bound_reads(engine: Engine, seconds: float) -> None:
    """Bound them on every connection of an asyncmy engine.

    Where rows are streamed and taken more slowly than the server sends them, asyncmy keeps all that has come:
    one slow client of an export, and the whole result is in memory. TCP can make a sender wait; it has to be
    told.

    asyncmy's own ``read_timeout`` is ``asyncio.wait_for``, which on Python 3.11 drops a cancellation that
    arrives together with what it waits for: the task goes on as if nobody had cancelled it.

    Parameters:
        engine: with asyncmy as its driver.
        seconds: for which a silent network is waited for.
    """

    @event.listens_for(engine, "connect")
    def bound(connection: DBAPIConnection, *_: Any) -> None:
        driver: Any = connection.driver_connection
        protocol: Any = getattr(driver, "_proto", None)  # there is no public way to it
        if protocol is None:  # an older asyncmy, which reads through a StreamReader, has the first bound
            return
        if protocol.transport is None:  # the server has gone again: the first statement will say so
            return
        transport, update, wait = protocol.transport, protocol.buffer_updated, protocol.wait_for_data

        def buffer_updated(size: int) -> None:
            update(size)
            if protocol.length - protocol.pos > _UNREAD:
                transport.pause_reading()

        async def wait_for_data(need: int) -> None:
            transport.resume_reading()
            try:
                async with asyncio.timeout(seconds):
                    await wait(need)
            except TimeoutError:
                transport.abort()  # a goodbye would wait for an answer, too
                raise

        driver._read_timeout = None
        protocol.buffer_updated = buffer_updated
        protocol.wait_for_data = wait_for_data
        transport.set_protocol(protocol)  # uvloop keeps the methods of the protocol that it was given


__all__ = ["bound_reads"]
