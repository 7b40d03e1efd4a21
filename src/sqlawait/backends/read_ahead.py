"""A bound for asyncmy's reading ahead.

Where rows are streamed and taken more slowly than the server sends them, asyncmy keeps all that has come: one
slow client of an export, and the whole result is in memory. TCP can make a sender wait; it has to be told.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

_UNREAD = 256 * 1024
"""Bytes that have come and are not yet taken, at which reading pauses."""


def bound_read_ahead(engine: Engine) -> None:
    """Pause reading from the socket while enough is unread, on every connection of an asyncmy engine."""

    @event.listens_for(engine, "connect")
    def bound(connection: DBAPIConnection, *_: Any) -> None:
        protocol: Any = getattr(connection.driver_connection, "_proto", None)  # there is no public way to it
        if protocol is None:  # an older asyncmy, which reads through a StreamReader, has such a bound
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
            await wait(need)

        protocol.buffer_updated = buffer_updated
        protocol.wait_for_data = wait_for_data
        transport.set_protocol(protocol)  # uvloop keeps the methods of the protocol that it was given
