"""The copy itself: look, check every value, write, compare."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Table, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from sqlawait.backends import failure_of, masked
from sqlawait.commands.copying.fields import Field, Misfit, checksum
from sqlawait.commands.copying.models import migrated_tables, tables_of
from sqlawait.commands.copying.order import groups, is_circle
from sqlawait.commands.copying.refused import Refused
from sqlawait.commands.copying.report import Copied, Misplaced, Report, progress
from sqlawait.commands.copying.source import Source
from sqlawait.commands.copying.target import Sum, Target, table_columns
from sqlawait.exceptions import SqlawaitError

_BATCH = 5000
_OURS = {"alembic_version", "sqlite_sequence", "sqlawait_copy"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; see ``sqlawait db copy --help``."""

    source: str
    target: str
    models: str | None = None
    without: Sequence[str] = ()
    restart: bool = False
    as_json: bool = False


def copy(options: Options) -> int:
    """Copy a SQLite database, and say how it went.

    Returns:
        The exit code: 0 copied and compared; 1 values that do not fit, or a difference; 2 not begun.
    """
    report = Report(masked(make_url(options.source)), masked(make_url(options.target)))
    start = time.perf_counter()
    try:
        source = Source(make_url(options.source))
        try:
            tables = _tables(options, source)
            asyncio.run(_Copy(options, source, tables, report).run())
        finally:
            source.close()
    except Refused as refused:
        report.message = str(refused)
    except SqlawaitError as error:
        report.outcome, report.message = "failed", str(error)
    except DBAPIError as error:
        report.outcome = "failed"
        report.message = f"the target refused a row ({failure_of(error) or 'error'}): {error.orig}"
    report.seconds = round(time.perf_counter() - start, 3)
    if options.as_json:
        print(json.dumps(report.as_dict(), indent=2))  # noqa: T201 - the command's output
    else:
        report.show(Console(highlight=False, soft_wrap=True, stderr=report.outcome != "copied"))
    return report.exit_code


def _tables(options: Options, source: Source) -> list[Table]:
    """The tables to copy: all that the source has, as the models have them."""
    if options.models is not None:
        found = tables_of(options.models)
    else:
        found, revision = migrated_tables(options.target)
        if source.revision() != revision:
            raise Refused(
                f"the source is at revision {', '.join(source.revision()) or 'none'} and the target at"
                f" {', '.join(revision)}; bring both to one: sqlawait db upgrade --database-url SOURCE"
            )
    tables = [table for table in found if table.name not in {*options.without, *_OURS}]
    known = {table.name for table in tables}
    strange = sorted(source.tables - known - _OURS - set(options.without))
    if strange:
        raise Refused(
            f"the source has tables that no model describes: {', '.join(strange)}; --without leaves one out"
        )
    missing = sorted(known - source.tables)
    if missing:
        raise Refused(f"the source lacks the tables {', '.join(missing)}; migrate it first")
    for table in tables:
        names = {column.name for column in table_columns(table)}
        if odd := source.columns(table.name) ^ names:
            raise Refused(
                f"table {table.name}: source and models differ in {', '.join(sorted(odd))}; migrate first"
            )
    return tables


class _Copy:
    def __init__(self, options: Options, source: Source, tables: Sequence[Table], report: Report) -> None:
        self._options = options
        self._source = source
        self._groups = groups(tables)
        self._tables = [table for group in self._groups for table in group]
        self._report = report
        self._console = Console(stderr=True)

    async def run(self) -> None:
        async with Target(self._options.target) as target:
            self._target = target
            self._fields = {
                table.name: [Field(column, sqlite.dialect(), target.dialect) for column in table_columns(table)]
                for table in self._tables
            }
            begun = await self._look()
            with progress(self._console) as bars:
                sums = self._check(bars)
                if self._report.misfits:
                    self._report.outcome = "misfits"
                    self._report.message = (
                        f"{self._report.misfits_in_all:,} values do not fit; nothing was written."
                        " Correct them in the source and copy again"
                    )
                    return
                copied = await self._begin(sums, begun)
                await self._write(bars, sums, copied)
                for table in self._tables:
                    await target.set_sequence(table, self._source.last_id(table))
                await self._compare(bars, sums)
            if self._source.changed():
                self._report.outcome = "different"
                self._report.message = (
                    "the source was written to meanwhile; stop what uses it, and copy again with --restart"
                )
            elif all(table.compared for table in self._report.tables):
                await target.end()
                rows = sum(table.rows for table in self._report.tables)
                self._report.outcome = "copied"
                self._report.message = f"{rows:,} rows in {len(self._tables)} tables copied and compared"
            else:
                self._report.outcome = "different"
                self._report.message = (
                    "the target does not hold what the source does: did something else write to it?"
                    " --restart empties the tables and copies again"
                )

    async def _look(self) -> dict[str, tuple[Sum, int]]:
        """Whether the target can take it; gives how far an earlier copy came."""
        there = await self._target.columns()
        for table in self._tables:
            columns = there.get(table.name)
            if columns is None:
                raise Refused(
                    f"the target has no table {table.name}; run: sqlawait db upgrade --database-url TARGET"
                )
            wanted = {field.name for field in self._fields[table.name]}
            if lost := sorted(wanted - columns.keys()):
                raise Refused(
                    f"the target's table {table.name} has no column {', '.join(lost)}; migrate it first"
                )
        begun = await self._target.begun()
        if begun and self._options.restart:
            await self._target.empty(self._tables)
            begun = {}
        if begun:
            return begun
        for table in self._tables:
            if rows := await self._target.count(table):
                raise Refused(
                    f"the target's table {table.name} holds {rows:,} rows; copy into one that is migrated"
                    " and empty"
                )
        return {}

    def _check(self, bars: Progress) -> dict[str, Sum]:
        """Look at every value before anything is written; gives each table's sum."""
        bar = bars.add_task("check", total=sum(map(self._source.count, self._tables)))
        sums: dict[str, Sum] = {}
        for orphan in self._source.orphans():
            reason = f"refers to a row of {orphan.parent} that does not exist"
            self._report.add(Misplaced(orphan.table, orphan.key, orphan.column, reason))
        for table in self._tables:
            fields = self._fields[table.name]
            total, count = 0, 0
            for raw in self._source.rows(table, [field.name for field in fields]):
                count += 1
                values = self._values(table, fields, raw)
                if values is not None:
                    total += checksum(fields, values)
                if count % 1000 == 0:
                    bars.advance(bar, 1000)
            bars.advance(bar, count % 1000)
            sums[table.name] = Sum(count, f"{total % 2**128:032x}")
        return sums

    def _values(self, table: Table, fields: list[Field], raw: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            values = tuple(field.value(each) for field, each in zip(fields, raw, strict=True))
            for field, value in zip(fields, values, strict=True):
                field.record(value)
        except Misfit:
            for field, each in zip(fields, raw, strict=True):  # again, to tell of all that is wrong in the row
                try:
                    field.record(field.value(each))
                except Misfit as misfit:
                    self._report.add(Misplaced(table.name, _key(table, fields, raw), field.name, str(misfit)))
            return None
        return values

    async def _begin(self, sums: dict[str, Sum], begun: dict[str, tuple[Sum, int]]) -> dict[str, int]:
        """How many rows of each table are there already."""
        if not begun:
            await self._target.begin(sums)
            return dict.fromkeys(sums, 0)
        changed = sorted(
            name for name in sums.keys() | begun.keys() if begun.get(name, (None, 0))[0] != sums.get(name)
        )
        if changed:
            raise Refused(
                f"an earlier copy was not finished, and the source has changed since (table {changed[0]});"
                " --restart empties the tables and copies again"
            )
        self._report.resumed = True
        return {name: copied for name, (_, copied) in begun.items()}

    async def _write(self, bars: Progress, sums: dict[str, Sum], copied: dict[str, int]) -> None:
        bar = bars.add_task(
            "copy", total=sum(each.rows for each in sums.values()), completed=sum(copied.values())
        )
        for group in self._groups:
            if is_circle(group):  # its rows are there together, or not at all
                async with self._target.writing(group) as connection:
                    for table in group:
                        for batch in self._records(table, skip=copied[table.name]):
                            fields = self._fields[table.name]
                            await self._target.write(
                                connection, table, fields, batch, copied=copied[table.name]
                            )
                            copied[table.name] += len(batch)
                            bars.advance(bar, len(batch))
                continue
            (table,) = group
            for batch in self._records(table, skip=copied[table.name]):
                async with self._target.writing([]) as connection:
                    await self._target.write(
                        connection, table, self._fields[table.name], batch, copied=copied[table.name]
                    )
                copied[table.name] += len(batch)
                bars.advance(bar, len(batch))

    def _records(self, table: Table, *, skip: int) -> Iterable[list[tuple[Any, ...]]]:
        fields = self._fields[table.name]
        rows = self._source.rows(table, [field.name for field in fields], skip=skip)
        while raw := list(islice(rows, _BATCH)):
            yield [
                tuple(field.record(field.value(each)) for field, each in zip(fields, row, strict=True))
                for row in raw
            ]

    async def _compare(self, bars: Progress, sums: dict[str, Sum]) -> None:
        bar = bars.add_task("compare", total=sum(each.rows for each in sums.values()))
        for table in self._tables:
            fields = self._fields[table.name]
            total, count = 0, 0
            async for rows in self._target.rows(fields):
                total += sum(checksum(fields, row) for row in rows)
                count += len(rows)
                bars.advance(bar, len(rows))
            expected = sums[table.name]
            there = Sum(count, f"{total % 2**128:032x}")
            self._report.tables.append(
                Copied(table.name, expected.rows, expected.checksum, compared=there == expected)
            )


def _key(table: Table, fields: Sequence[Field], raw: Sequence[Any]) -> str:
    """Which row it is, for people."""
    key = {column.name for column in table.primary_key} or {fields[0].name}
    return ", ".join(
        f"{field.name}={each!r}" for field, each in zip(fields, raw, strict=True) if field.name in key
    )


__all__ = ["Options", "copy"]
