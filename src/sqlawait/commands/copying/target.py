"""The database that is copied into: what it has, how far the copy has come, and the writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    MetaData,
    String,
    Table,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from sqlawait import Database, Timeouts
from sqlawait.commands.copying.fields import Field
from sqlawait.commands.copying.refused import Refused

_PATIENT = Timeouts(command=3600, idle_in_transaction=3600)
"""Seconds: a table may be large, and nobody waits for an answer here."""

_BATCH = 2000

_progress = Table(
    "sqlawait_copy",
    MetaData(),
    Column("name", String(200), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("checksum", String(40), nullable=False),
    Column("copied", BigInteger, nullable=False),
)
"""How far the copy has come, written with the rows: whatever ends it, the two agree. Gone at the end."""


@dataclass(frozen=True)
class Sum:
    """A table's rows, told in two numbers."""

    rows: int
    checksum: str


class Target:
    """A PostgreSQL or MySQL database whose tables have been made.

    Parameters:
        url: where it is.
    """

    def __init__(self, url: str) -> None:
        self._db = Database(url, pool_size=2, threads=1, timeouts=_PATIENT)
        if self._db.dialect == "sqlite":
            raise Refused("the target is SQLite; to copy a SQLite database to another file, copy the file")

    async def __aenter__(self) -> Self:
        await self._db.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._db.close()

    @property
    def dialect(self) -> Dialect:
        """How it speaks."""
        return self._db.engine.dialect

    # -- what there is

    async def columns(self) -> dict[str, dict[str, bool]]:
        """Its tables; of each, its columns and whether they may be left out of an INSERT."""

        def look(connection: Connection) -> dict[str, dict[str, bool]]:
            inspector = inspect(connection)
            return {
                table: {
                    each["name"]: each["nullable"] or each["default"] is not None or bool(each.get("identity"))
                    for each in inspector.get_columns(table)
                }
                for table in inspector.get_table_names()
            }

        async with self._db.engine.connect() as connection:
            return await connection.run_sync(look)

    async def count(self, table: Table) -> int:
        """How many rows a table has."""
        async with self._db.transaction(read_only=True) as session:
            return int((await session.execute(select(func.count()).select_from(table))).scalar_one())

    async def begun(self) -> dict[str, tuple[Sum, int]]:
        """A copy that did not come to its end: each table's sum in the source, and how many rows are here."""
        if _progress.name not in await self.columns():
            return {}
        async with self._db.transaction(read_only=True) as session:
            rows = (await session.execute(select(_progress))).all()
        return {name: (Sum(total, checksum), copied) for name, total, checksum, copied in rows}

    # -- writing

    async def begin(self, sums: dict[str, Sum]) -> None:
        """Note what is to be copied."""
        rows = [{"name": name, "total": each.rows, "checksum": each.checksum} for name, each in sums.items()]
        async with self._db.engine.begin() as connection:
            await connection.run_sync(_progress.drop, checkfirst=True)
            await connection.run_sync(_progress.create)
            await connection.execute(insert(_progress).values(copied=0), rows)

    async def end(self) -> None:
        """Forget how far it had come."""
        async with self._db.engine.begin() as connection:
            await connection.run_sync(_progress.drop, checkfirst=True)

    async def empty(self, tables: Sequence[Table]) -> None:
        """Take out all rows: those of a copy that is started anew."""
        async with self._db.engine.begin() as connection, self._circle(connection, tables):
            for table in reversed(tables):
                await connection.execute(table.delete())
        await self.end()

    @asynccontextmanager
    async def writing(self, circle: Sequence[Table]) -> AsyncIterator[AsyncConnection]:
        """One transaction, in which the rows of ``circle`` may refer to rows that come later."""
        async with self._db.engine.begin() as connection, self._circle(connection, circle):
            yield connection

    async def write(
        self,
        connection: AsyncConnection,
        table: Table,
        fields: Sequence[Field],
        rows: list[Any],
        *,
        copied: int,
    ) -> None:
        """Write rows and, in the same transaction, that they are written.

        Raises:
            Refused: another copy writes into the same database.
        """
        columns = [field.column for field in fields]
        if not await self._db.backend.copy(connection, table, columns, rows):
            names = [column.key for column in columns]
            statement = str(insert(table).compile(dialect=self.dialect, column_keys=names))
            await connection.exec_driver_sql(statement, rows)
        moved = await connection.execute(
            update(_progress)
            .where(_progress.c.name == table.name, _progress.c.copied == copied)
            .values(copied=copied + len(rows))
        )
        if moved.rowcount != 1:
            raise Refused("another copy writes into the same database; let one of them finish")

    async def set_sequence(self, table: Table, last: int) -> None:
        """Make the next number that the database gives one that no row has, or had."""
        if self._db.dialect == "postgresql":
            await self._set_postgresql_sequences(table, last)
        elif last and (column := table.autoincrement_column) is not None:
            async with self._db.engine.begin() as connection:
                greatest = (await connection.execute(select(func.max(column)))).scalar_one() or 0
                if last > greatest:  # InnoDB itself counts on from the greatest
                    name = self.dialect.identifier_preparer.format_table(table)
                    await connection.exec_driver_sql(f"ALTER TABLE {name} AUTO_INCREMENT = {last + 1:d}")

    async def _set_postgresql_sequences(self, table: Table, last: int) -> None:
        name = self.dialect.identifier_preparer.format_table(table)
        find = text("SELECT pg_get_serial_sequence(:table, :column)")
        advance = text("SELECT setval(CAST(CAST(:sequence AS text) AS regclass), :value)")
        async with self._db.engine.begin() as connection:
            for column in table.columns:
                sequence = await connection.scalar(find, {"table": name, "column": column.name})
                if sequence is None:
                    continue
                greatest = (await connection.execute(select(func.max(column)))).scalar_one() or 0
                value = max(greatest, last if column is table.autoincrement_column else 0)
                if value > 0:
                    await connection.execute(advance, {"sequence": sequence, "value": value})

    # -- comparing

    async def rows(self, fields: Sequence[Field]) -> AsyncIterator[Sequence[Any]]:
        """The rows, many at a time, of the fields' table, as the application reads them."""
        async with self._db.session(read_only=True) as session:
            statement = select(*(field.read_back for field in fields)).execution_options(yield_per=_BATCH)
            async for rows in (await session.stream(statement)).partitions():
                yield rows

    # --

    @asynccontextmanager
    async def _circle(self, connection: AsyncConnection, tables: Sequence[Table]) -> AsyncIterator[None]:
        """Check foreign keys at the end. On PostgreSQL the change is undone with the transaction."""
        if not tables:
            yield
            return
        if self._db.dialect != "postgresql":
            await connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
            try:
                yield
            finally:
                await connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
            return
        found = await connection.execute(
            text(
                "SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint WHERE contype = 'f'"
                " AND NOT condeferrable AND conrelid = ANY (SELECT CAST(name AS regclass) FROM unnest("
                "CAST(:names AS text[])) AS name)"
            ),
            {"names": [self.dialect.identifier_preparer.format_table(table) for table in tables]},
        )
        constraints = found.all()
        for table, name in constraints:
            await connection.exec_driver_sql(f"ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE")
        await connection.exec_driver_sql("SET CONSTRAINTS ALL DEFERRED")
        yield
        await connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        for table, name in constraints:
            await connection.exec_driver_sql(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")


def table_columns(table: Table) -> list[Column[Any]]:
    """The columns that have values of their own: a computed one is computed again."""
    return [column for column in table.columns if column.computed is None]


__all__ = ["Sum", "Target", "table_columns"]
