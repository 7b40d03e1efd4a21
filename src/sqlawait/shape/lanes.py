"""The ways of a plan's statement to the database.

Where nothing stands in between, the text goes to the driver itself, on a connection that the pool leases for
it: no transaction, no greenlet, no result object. Otherwise it goes through SQLAlchemy's connection, in the
session's transaction, past its events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.util import greenlet_spawn

from sqlawait.pool import FairPool, Lease
from sqlawait.shape.plan import Plan
from sqlawait.watching import STATEMENT, began, is_covered

Rows = Sequence[Any]


async def fetch(
    session: AsyncSession, bind: Engine | Connection, plan: Plan, arguments: Sequence[Any]
) -> Rows | None:
    """Run a plan's statement; gives its rows, or None where only objects are what the session would read."""
    if isinstance(bind, Engine) and not plan.locks and _is_untouched(session):
        run = _direct(bind)
        if run is not None:
            return await _leased(bind, run, plan, arguments)
    sync = session.sync_session
    if sync.autoflush and not sync._is_clean():
        await session.flush()
    if intercepts(sync):
        return None
    connection = await session.connection()
    assert connection.sync_connection is not None  # it is started
    if connection.sync_connection.get_execution_options().get("schema_translate_map"):
        return None
    options = {STATEMENT: plan.statement}
    result = await connection.exec_driver_sql(plan.sql, tuple(arguments), execution_options=options)
    return result.all()


Run = Callable[[Any, str, Sequence[Any]], Awaitable[Rows]]


def intercepts(sync: Session) -> bool:
    """Whether somebody may change the statements of a session, such as a filter of rows by tenant."""
    return not all(map(_is_ours, sync.dispatch.do_orm_execute))


def _is_untouched(session: AsyncSession) -> bool:
    """Whether nothing of the session's own would be missed: no transaction, no change, no listener."""
    sync: Session | None = session.__dict__.get("sync_session")
    if sync is None:  # not even made yet
        kind = session.sync_session_class
        sync = _samples.get(kind)
        if sync is None:
            sync = _samples[kind] = kind()
    elif sync._transaction is not None or not sync._is_clean():
        return False
    return not intercepts(sync)


_samples: dict[type[Session], Session] = {}
"""An unused session of each kind: what listens to it listens to all of its kind."""


def _direct(engine: Engine) -> Run | None:
    """How to ask the driver itself, where that makes no difference but in speed."""
    dispatch = engine.dispatch
    if (
        not all(map(is_covered, dispatch.after_cursor_execute))
        or (dispatch.before_cursor_execute and not all(map(_is_ours, dispatch.before_cursor_execute)))
        or engine._should_log_info()
        or not isinstance(engine.pool, FairPool)
    ):
        return None
    found = _runs.get(engine)
    if found is None:
        found = _runs[engine] = (_run_for(engine),)
    return found[0]


_runs: WeakKeyDictionary[Engine, tuple[Run | None]] = WeakKeyDictionary()


def _run_for(engine: Engine) -> Run | None:
    """None where a statement on its own is not what a transaction of this engine would see."""
    dialect = engine.dialect
    options = engine.get_execution_options()
    level = options.get("isolation_level", dialect.default_isolation_level)
    alone = {"AUTOCOMMIT", "READ COMMITTED"} | _ALONE.get(dialect.name, set())
    asked = str(options.get("sqlawait_transaction", ""))  # of MySQL's next transaction
    if level not in alone or options.keys() & _CHANGING or any(word in asked for word in _STRICTER):
        return None
    return _RUNS.get(dialect.driver)


_ALONE = {"sqlite": {"SERIALIZABLE"}, "mysql": {"REPEATABLE READ"}, "mariadb": {"REPEATABLE READ"}}
"""Levels at which one statement sees the same in a transaction as on its own."""

_STRICTER = ("SERIALIZABLE", "UNCOMMITTED")


_CHANGING = {"schema_translate_map", "postgresql_readonly", "postgresql_deferrable"}


async def _leased(engine: Engine, run: Run, plan: Plan, arguments: Sequence[Any]) -> Rows:
    pool = engine.pool
    assert isinstance(pool, FairPool)
    watched = began(engine, plan.sql, arguments, plan.statement)
    try:
        lease = await pool.take()
        try:
            pool.start(lease)
            for one in watched:
                one.sent()
            rows = await run(lease.driver, plan.sql, arguments)
        except BaseException as error:
            await _failed(engine, pool, lease, error)
            raise
        await pool.give(lease)
    except BaseException as error:
        for one in watched:
            one.ended(None, error)
        raise
    for one in watched:
        one.ended(len(rows), None)
    return rows


async def _failed(engine: Engine, pool: FairPool, lease: Lease, error: BaseException) -> None:
    """Give the connection back, or up, and raise the error as SQLAlchemy's own connection would."""
    if not isinstance(error, Exception):
        await pool.give(lease, broken=error)  # cancelled: whatever state it is in, nobody shall have it
        return
    adapted = lease.adapted
    broken: BaseException | None = error
    try:
        try:
            if not hasattr(adapted, "_handle_exception"):
                raise error  # SQLAlchemy 2.0's connections to MySQL have nothing to translate
            adapted._handle_exception(error)
        except Exception as translated:
            dialect: Any = engine.dialect
            known = isinstance(translated, dialect.loaded_dbapi.Error)
            if known and not dialect.is_disconnect(translated, adapted, None):
                broken = None
            await greenlet_spawn(Connection._handle_dbapi_exception_noconnection, translated, dialect, engine)
    finally:
        await pool.give(lease, broken=broken)


async def _asyncpg(driver: Any, sql: str, arguments: Sequence[Any]) -> Rows:
    rows: Rows = await driver.fetch(sql, *arguments)
    return rows


async def _aiosqlite(driver: Any, sql: str, arguments: Sequence[Any]) -> Rows:
    rows: Rows = await driver.execute_fetchall(sql, arguments)
    return rows


async def _mysql(driver: Any, sql: str, arguments: Sequence[Any]) -> Rows:
    """A SELECT opens a transaction there; the ROLLBACK that ends it goes with it, in the same round trip."""
    async with driver.cursor() as cursor:
        await cursor.execute(f"{sql}; ROLLBACK", tuple(arguments))
        rows: Rows = await cursor.fetchall()
        await cursor.nextset()
    return rows


_RUNS: dict[str, Run] = {"asyncpg": _asyncpg, "aiosqlite": _aiosqlite, "asyncmy": _mysql, "aiomysql": _mysql}


def _is_ours(listener: Any) -> bool:
    """Whether a listener is this package's: those have nothing to say about a shaped read."""
    return str(getattr(listener, "__module__", "")).startswith("sqlawait.")


__all__ = ["fetch", "intercepts"]
