"""What the recorder saw: every load on access, where its owner came from, where it was touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["relationship", "column"]
VERSION = 1


class UnreadableTrace(Exception):
    """A file that is no trace, or one of another version."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not a trace of this version ({reason}); trace again with --trace 'pytest …'"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A call in the code base: lines from 1, columns in bytes from 0, -1 where Python did not tell."""

    kind: str
    """``app`` or ``test``."""
    path: str
    """From the root of the conversion."""
    line: int
    end_line: int
    column: int
    end_column: int
    function_line: int
    """Where the function starts, its decorators included."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Where an object came from."""

    how: str
    """``loaded`` by a statement, ``made`` by its class, ``behind`` something that is not known."""
    site: Place | None
    under: tuple[Place, ...]
    """The calls around the site, the nearest first."""
    root: str | None
    """The class that the statement loads, as ``package.module.Class``."""
    path: tuple[tuple[str, str], ...] | None
    """From the root to the object, as (class, relationship); None when it is not known."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a place calls an object, or one that it was reached from."""

    place: int
    """Which of the places where it was touched."""
    text: str
    item: bool
    """It is in the list of that name."""
    path: tuple[str, ...]
    """The relationships from what is named to the object."""


@dataclass(frozen=True, slots=True)
class Load:
    """One attribute that was loaded when it was touched."""

    kind: Kind
    model: str
    attribute: str
    by: str
    """Who touched it: ``app``, ``test``, ``template``, ``serializer`` or ``library``."""
    touched: tuple[Place, ...]
    """The places of the code base around the touch, the nearest first."""
    owner: Owner | None
    named: tuple[Name, ...]
    """What the places call the object, the nearest place first."""
    again: Owner | None
    """A later statement of the application that gave the same object."""
    template: tuple[str, int] | None
    endpoint: tuple[str, int] | None
    """The file and first line of the route whose answer was being made."""
    expired: tuple[str, Place | None] | None
    """What had expired the attribute (commit, rollback, expire, flush), and where."""
    count: int
    many: bool = False
    reloaded: bool = False
    """It had been loaded before."""
    written: bool = False
    """Rows of the related class were written since the owner came, or since it was loaded the last time."""
    how: str = ""
    """Of columns: ``deferred``, ``subclass`` (a statement on the base leaves them out), or what expired."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All that one run of a suite told."""

    loads: tuple[Load, ...]
    files: Mapping[str, str]
    """The code base's files and their SHA-256, as they were when the suite ran."""
    tests: int = 0
    failed: int = 0
    sqlalchemy: str = ""
    python: str = ""

    @classmethod
    def recorded(cls, parts: Iterable[Mapping[str, Any]]) -> Trace:
        """One trace from what each process of a run has written."""
        whole: dict[Load, int] = {}
        files: dict[str, str] = {}
        tests = failed = 0
        sqlalchemy = python = ""
        for part in parts:
            files |= part["files"]
            tests, failed = max(tests, part["tests"]), max(failed, part["failed"])
            sqlalchemy, python = part["sqlalchemy"], part["python"]
            for entry in part["loads"]:
                load = _load({**entry, "count": 0})
                whole[load] = whole.get(load, 0) + int(entry["count"])
        loads = tuple(
            _counted(load, count)
            for load, count in sorted(whole.items(), key=lambda each: (-each[1], str(each[0])))
        )
        return cls(loads, files, tests, failed, sqlalchemy, python)

    @classmethod
    def read(cls, path: Path) -> Trace:
        """Read a trace from a file.

        Raises :class:`UnreadableTrace` for a file that is none.
        """
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["version"] != VERSION:
                raise UnreadableTrace(path, f"version {kept['version']}, not {VERSION}")
            loads = tuple(_load(each) for each in kept["loads"])
            rest = {key: kept[key] for key in ("files", "tests", "failed", "sqlalchemy", "python")}
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableTrace(path, f"{type(error).__name__}: {error}") from error
        return cls(loads, **rest)

    def as_json(self) -> str:
        """The trace as the text of a file that :meth:`read` reads."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1)

    def changed(self, root: Path) -> list[str]:
        """The files of the code base that are no longer what they were when the suite ran."""
        named = {
            place.path
            for load in self.loads
            for place in (
                *load.touched,
                *(p for o in (load.owner, load.again) if o and o.site for p in (o.site,)),
            )
        }
        return sorted(each for each in named if each in self.files and _digest(root / each) != self.files[each])


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _counted(load: Load, count: int) -> Load:
    return Load(**{**{name: getattr(load, name) for name in Load.__slots__}, "count": count})


def _load(entry: Mapping[str, Any]) -> Load:
    expired = entry["expired"]
    return Load(
        kind=entry["kind"],
        model=entry["model"],
        attribute=entry["attribute"],
        by=entry["by"],
        touched=tuple(_place(each) for each in entry["touched"]),
        owner=_owner(entry["owner"]),
        named=tuple(_name(each) for each in entry["named"]),
        again=_owner(entry["again"]),
        template=tuple(entry["template"]) if entry["template"] else None,
        endpoint=tuple(entry["endpoint"]) if entry["endpoint"] else None,
        expired=(expired[0], _place(expired[1]) if expired[1] else None) if expired else None,
        count=entry["count"],
        many=entry.get("many", False),
        reloaded=entry.get("reloaded", False),
        written=entry.get("written", False),
        how=entry.get("how", ""),
    )


def _owner(entry: Mapping[str, Any] | None) -> Owner | None:
    if entry is None:
        return None
    path = entry["path"]
    return Owner(
        how=entry["how"],
        site=_place(entry["site"]) if entry["site"] else None,
        under=tuple(_place(each) for each in entry["under"]),
        root=entry["root"],
        path=tuple((cls, name) for cls, name in path) if path is not None else None,
    )


def _name(entry: Any) -> Name:
    if isinstance(entry, dict):
        return Name(entry["place"], entry["text"], entry["item"], tuple(entry["path"]))
    place, text, item, path = entry
    return Name(place, text, item, tuple(path))


def _place(entry: Any) -> Place:
    return Place(**entry) if isinstance(entry, dict) else Place(*entry)


__all__ = ["Load", "Name", "Owner", "Place", "Trace", "UnreadableTrace"]
