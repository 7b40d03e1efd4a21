"""The ways of a plan's statement to the database.

Where nothing stands in between, the text goes to the driver itself, on a connection that the pool leases for
it: no transaction, no greenlet, no result object. Otherwise it goes through SQLAlchemy's connection, in the
session's transaction, past its events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from sqlawait.pool import FairPool, Lease
from sqlawait.shape.plan import Plan

Texts = list[Any]


async def fetch(
    session: AsyncSession, bind: Engine | Connection, plan: Plan, arguments: Sequence[Any]
) -> Texts:
    """Run a plan's statement; gives the one column of its rows."""
    run = _direct(session.sync_session, bind, plan)
    if run is not None:
        assert isinstance(bind, Engine)
        return await _leased(bind, run, plan.sql, arguments)
    sync = session.sync_session
    if sync.autoflush and not sync._is_clean():
        await session.flush()
    connection = await session.connection()
    result = await connection.exec_driver_sql(plan.sql, tuple(arguments))
    return [row[0] for row in result]


Run = Callable[[Any, str, Sequence[Any]], Awaitable[Texts]]


def _direct(session: Session, bind: Engine | Connection, plan: Plan) -> Run | None:
    """How to ask the driver itself, where that makes no difference but in speed."""
    if (
        isinstance(bind, Connection)
        or session.in_transaction()
        or plan.locks
        or not session._is_clean()
        or not isinstance(bind.pool, FairPool)
        or bind.dispatch.after_cursor_execute
        or bind._should_log_info()
        or any(not _ours(listener) for listener in session.dispatch.do_orm_execute)
        or any(not _ours(listener) for listener in bind.dispatch.before_cursor_execute)
    ):
        return None
    run = _RUNS.get(bind.dialect.driver)
    options = bind.get_execution_options()
    level = options.get("isolation_level", bind.dialect.default_isolation_level)
    if run is None or level not in {
        "AUTOCOMMIT",
        "READ COMMITTED",
        "SERIALIZABLE" if _is_sqlite(bind) else None,
    }:
        return None
    return (
        None
        if options.keys() & {"schema_translate_map", "postgresql_readonly", "postgresql_deferrable"}
        else run
    )


async def _leased(engine: Engine, run: Run, sql: str, arguments: Sequence[Any]) -> Texts:
    pool = engine.pool
    assert isinstance(pool, FairPool)
    lease = await pool.take()
    try:
        pool.start(lease)
        texts = await run(lease.driver, sql, arguments)
    except BaseException as error:
        await _failed(engine, pool, lease, error)
        raise
    await pool.give(lease)
    return texts


async def _failed(engine: Engine, pool: FairPool, lease: Lease, error: BaseException) -> None:
    """Give the connection back, or up, and raise the error as SQLAlchemy's own connection would."""
    if not isinstance(error, Exception):
        await pool.give(lease, broken=error)  # cancelled: whatever state it is in, nobody shall have it
        return
    adapted = lease.adapted
    broken: BaseException | None = error
    try:
        try:
            adapted._handle_exception(error)
        except Exception as translated:
            dialect: Any = engine.dialect
            known = isinstance(translated, dialect.loaded_dbapi.Error)
            if known and not dialect.is_disconnect(translated, adapted, None):
                broken = None
            await greenlet_spawn(Connection._handle_dbapi_exception_noconnection, translated, dialect, engine)
    finally:
        await pool.give(lease, broken=broken)


async def _asyncpg(driver: Any, sql: str, arguments: Sequence[Any]) -> Texts:
    return [row[0] for row in await driver.fetch(sql, *arguments)]


async def _aiosqlite(driver: Any, sql: str, arguments: Sequence[Any]) -> Texts:
    return [row[0] for row in await driver.execute_fetchall(sql, arguments)]


_RUNS: dict[str, Run] = {"asyncpg": _asyncpg, "aiosqlite": _aiosqlite}


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _ours(listener: Any) -> bool:
    """Whether a listener is this package's: those have nothing to say about a shaped read."""
    return str(getattr(listener, "__module__", "")).startswith("sqlawait.")


__all__ = ["fetch"]
