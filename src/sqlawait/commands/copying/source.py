"""The SQLite database that is copied: read-only, in one snapshot from the beginning to the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import URL, Table

from sqlawait.commands.copying.refused import Refused

_BATCH = 1000


class Orphan(NamedTuple):
    """A row that refers to one that does not exist."""

    table: str
    key: str
    column: str
    parent: str


class Source:
    """A SQLite file.

    Parameters:
        url: where it is.

    Raises:
        Refused: it is no file, or none of SQLite's.
    """

    def __init__(self, url: URL) -> None:
        path = Path(url.database or "")
        if url.get_backend_name() != "sqlite" or not path.is_file():
            raise Refused(f"there is no SQLite file at {url.database!r}; give the source as sqlite:///app.db")
        self._files = [path, Path(f"{path}-wal")]
        self._before = self._stamps()
        # without a log nobody is using it: SQLite then needs no files of its own beside it
        still = "" if self._before[1] else "&immutable=1"
        address = f"file:{quote(str(path.resolve()))}?mode=ro{still}"
        self._connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
        # bytes that are no UTF-8 are then found in their row, instead of ending the reading
        self._connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            self._connection.execute("BEGIN")
            self.tables = {name for (name,) in self._all("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise Refused(f"{path} cannot be read ({error}); is it a SQLite database?") from error

    def changed(self) -> bool:
        """Whether somebody has written to it since it was opened."""
        return self._stamps() != self._before

    def close(self) -> None:
        """Let go of the snapshot."""
        self._connection.close()

    def revision(self) -> set[str]:
        """Where its migrations are."""
        if "alembic_version" not in self.tables:
            return set()
        return {version for (version,) in self._all("SELECT version_num FROM alembic_version")}

    def columns(self, table: str) -> set[str]:
        """The names of a table's columns, generated ones left out."""
        return {row[1] for row in self._all(f"PRAGMA table_xinfo({_quoted(table)})") if row[6] == 0}

    def count(self, table: Table) -> int:
        """How many rows a table has."""
        return int(self._all(f"SELECT count(*) FROM {_quoted(table.name)}")[0][0])  # noqa: S608 - quoted

    def last_id(self, table: Table) -> int:
        """The greatest number that AUTOINCREMENT has given, of rows that are gone too; else 0."""
        if "sqlite_sequence" not in self.tables:
            return 0
        found = self._all("SELECT seq FROM sqlite_sequence WHERE name = ?", table.name)
        return int(found[0][0] or 0) if found else 0

    def rows(self, table: Table, columns: Sequence[str], *, skip: int = 0) -> Iterator[tuple[Any, ...]]:
        """The rows of a table, always in the same order, as SQLite holds them."""
        key = "rowid" if self._has_rowid(table) else ", ".join(_quoted(each.name) for each in table.primary_key)
        names = ", ".join(map(_quoted, columns))
        statement = f"SELECT {names} FROM {_quoted(table.name)} ORDER BY {key} LIMIT -1 OFFSET ?"  # noqa: S608 - quoted
        cursor = self._connection.execute(statement, (skip,))
        cursor.arraysize = _BATCH
        while rows := cursor.fetchmany():
            yield from rows

    def orphans(self) -> Iterator[Orphan]:
        """Rows whose foreign keys lead nowhere: SQLite checks them only where it was told to."""
        for table, rowid, parent, number in self._all("PRAGMA foreign_key_check"):
            keys = self._all(f"PRAGMA foreign_key_list({_quoted(table)})")
            column = ", ".join(key[3] for key in keys if key[0] == number)
            yield Orphan(table, f"rowid {rowid}", column, parent)

    def _stamps(self) -> list[Any]:
        stats = [file.stat() if file.exists() else None for file in self._files]
        return [(stat.st_size, stat.st_mtime_ns) if stat and stat.st_size else None for stat in stats]

    def _has_rowid(self, table: Table) -> bool:
        try:
            self._connection.execute(f"SELECT rowid FROM {_quoted(table.name)} LIMIT 0")  # noqa: S608 - quoted
        except sqlite3.OperationalError:
            return False
        return True

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


__all__ = ["Orphan", "Source"]
