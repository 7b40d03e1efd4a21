"""Transactions that an error has ended, or doomed: nothing goes on in them, and none of them is committed.

Databases end a transaction by themselves: PostgreSQL at any error, MySQL at a deadlock, SQLite where a write
was interrupted or the disk is full. None of them lets a program know that has swallowed the error: PostgreSQL
answers its COMMIT with ROLLBACK and no error; MySQL and SQLite run the statements that follow on their own, and
store one half of the work.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.pool import PoolProxiedConnection

from sqlawait.backends.base import Backend

_doomed: WeakSet[Any] = WeakSet()
"""The driver's connections whose transaction can only be rolled back."""


def doom(driver_connection: Any) -> None:
    """Note that a connection's transaction can only be rolled back."""
    _doomed.add(driver_connection)


def refuse_doomed(engine: Engine, backend: Backend) -> None:
    """Make it an error to go on in a doomed transaction, whoever has swallowed the error that doomed it.

    Only errors are listened for, and statements where the server would run them: a listener for every begin,
    commit and rollback would cost each transaction about 40 µs, the dialect's own functions cost nothing.
    """

    @event.listens_for(engine, "handle_error")
    def remember(context: ExceptionContext) -> None:
        connection = context.connection
        if context.statement is None or connection is None or context.is_disconnect:
            return  # a COMMIT that fails ends its transaction: the next one must not be taken for it
        if connection.in_transaction() and backend.dooms(context.original_exception, connection):
            doom(connection.connection.driver_connection)

    if not backend.savepoints_heal:  # PostgreSQL's server refuses by itself
        _refuse_statements(engine)
    _refuse_commits(engine.dialect, backend)


def _refuse_statements(engine: Engine) -> None:
    # With retval=True SQLAlchemy calls it itself, without a wrapper that would hide whose it is.
    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def refuse(
        connection: Connection, _1: Any, statement: str, parameters: Any, _2: Any, _3: bool
    ) -> tuple[str, Any]:
        if connection.connection.driver_connection in _doomed:
            raise _refusal()
        return statement, parameters


def _refuse_commits(dialect: Dialect, backend: Backend) -> None:
    commit, rollback = dialect.do_commit, dialect.do_rollback
    rollback_to_savepoint = dialect.do_rollback_to_savepoint

    def do_rollback(connection: PoolProxiedConnection) -> None:
        _doomed.discard(connection.driver_connection)
        rollback(connection)

    def do_rollback_to_savepoint(connection: Connection, name: str) -> None:
        driver_connection = connection.connection.driver_connection
        if driver_connection in _doomed:
            if not backend.savepoints_heal:
                return  # it has gone with its transaction: asking for it would hide the error that ended both
            _doomed.discard(driver_connection)
        rollback_to_savepoint(connection, name)

    def do_commit(connection: PoolProxiedConnection) -> None:
        if connection.driver_connection in _doomed:
            do_rollback(connection)  # SQLAlchemy takes a COMMIT that fails for the end of its transaction
            raise _refusal()
        commit(connection)

    # every way to end a transaction passes here; declared with other names of parameters
    dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]
    dialect.do_rollback = do_rollback  # type: ignore[method-assign, assignment]
    dialect.do_rollback_to_savepoint = do_rollback_to_savepoint  # type: ignore[method-assign]


def _refusal() -> PendingRollbackError:
    return PendingRollbackError(
        "an error has ended this transaction in the database, and nothing of it can be stored; roll back and"
        " run it again, or put what may fail into session.begin_nested(), which helps against all but deadlocks"
    )


__all__ = ["doom", "refuse_doomed"]
