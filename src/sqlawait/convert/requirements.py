"""The async driver is added to the lists of requirements: requirements.txt, pyproject.toml and the like."""

from __future__ import annotations

import re
from pathlib import Path

from .drivers import Drivers
from .result import Result

PACKAGES = {
    "psycopg2": ("postgresql", {"psycopg": "psycopg[binary]", "asyncpg": "asyncpg"}),
    "psycopg2-binary": ("postgresql", {"psycopg": "psycopg[binary]", "asyncpg": "asyncpg"}),
    "pymysql": ("mysql", {"asyncmy": "asyncmy", "aiomysql": "aiomysql"}),
    "mysqlclient": ("mysql", {"asyncmy": "asyncmy", "aiomysql": "aiomysql"}),
    "mysql-connector-python": ("mysql", {"asyncmy": "asyncmy", "aiomysql": "aiomysql"}),
}
"""A blocking driver, its database, and the package of each async driver for it."""
BACKENDS = ("sqlite", "postgresql", "mysql")
NAME = r"(?<![\w.-]){name}(?![\w-])(\[[^\]]*\])?"


def update_requirements(root: Path, result: Result, drivers: Drivers) -> None:
    """Add what the converted code needs; a lock file is not touched but named in the notes."""
    if not result.changes:
        return
    wanted = _wanted(result, drivers)
    below = {folder for path in result.changes for folder in path.parents if root in folder.parents}
    for folder in [*sorted(below), root, *list(root.parents)[:2]]:
        files = [p for p in sorted(folder.glob("*requirements*")) if p.suffix in (".txt", ".in")]
        files += [
            folder / name
            for name in ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile")
            if (folder / name).is_file()
        ]
        for path in files:
            _update(path, wanted, result, drivers)
        for name in ("poetry.lock", "uv.lock", "Pipfile.lock", "pdm.lock"):
            if (folder / name).is_file():
                result.notes.append(f"{name} does not hold the async driver yet: lock again")
        if folder not in below and (
            (folder / ".git").exists() or any(path in result.changes for path in files)
        ):
            break
    result.notes.append(f"the converted code needs: {', '.join([*wanted, 'greenlet (sqlalchemy[asyncio])'])}")


def _wanted(result: Result, drivers: Drivers) -> list[str]:
    lines = [line for _, after in result.changes.values() for line in after.splitlines()]
    guessed = any(line.startswith("def async_url(") for line in lines)
    text = "\n".join(line for line in lines if not line.startswith("    drivers = {"))
    if guessed:  # the URL is known when the program runs: each database that is named stands for its driver
        text += "".join(f"{scheme}+{getattr(drivers, scheme)}" for scheme in BACKENDS if f"{scheme}:" in text)
    found = []
    for scheme, package in (
        ("sqlite+aiosqlite", "aiosqlite"), ("postgresql+psycopg", "psycopg[binary]"),
        ("postgresql+asyncpg", "asyncpg"),
        ("mysql+asyncmy", "asyncmy"), ("mysql+aiomysql", "aiomysql"),
    ):  # fmt: skip
        if scheme in text:
            found.append(package)
    return found


def _update(path: Path, wanted: list[str], result: Result, drivers: Drivers) -> None:
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return
    if "--hash=" in before:
        if re.search(r"(?im)^sqlalchemy\b", before):
            result.notes.append(f"{path.name} is locked by hashes: lock again with the async driver")
        return
    lines = before.splitlines(keepends=True)
    out: list[str] = []
    lowered = before.lower()
    for line in lines:
        out.append(line)
        for name, (backend, packages) in PACKAGES.items():
            package = packages[getattr(drivers, backend)]
            pattern = NAME.format(name=re.escape(name))
            if re.search(pattern, line, re.IGNORECASE) and not line.lstrip().startswith("#"):
                bare = package.partition("[")[0]
                if not re.search(NAME.format(name=bare), lowered):
                    added = _beside(line, name, package, path)
                    if added:
                        out.append(added)
                        lowered += f"\n{bare}\n"
        if (
            re.search(NAME.format(name="sqlalchemy"), line, re.IGNORECASE)
            and not re.search(r"(?<![\w-])aiosqlite", lowered)
            and "aiosqlite" in wanted
            and not line.lstrip().startswith("#")
        ):
            added = _beside(line, "sqlalchemy", "aiosqlite", path)
            if added:
                out.append(added)
                lowered += "\naiosqlite\n"
    after = "".join(out)
    if after != before:
        result.changes[path] = (before, after)


def _beside(line: str, name: str, package: str, path: Path) -> str:
    """A line for a package in the form of the one that names another; empty where the form is not clear."""
    stripped = line.strip()
    if path.suffix in (".txt", ".in") or path.name == "setup.cfg":
        if not re.match(rf"(?i){re.escape(name)}(\[[^\]]*\])?\s*([<>=!~;#@ ].*)?$", stripped):
            return ""
        ending = "" if line.endswith("\n") else "\n"
        return f"{ending}{line[: len(line) - len(line.lstrip())]}{package}\n"
    if path.name == "pyproject.toml":
        quoted = re.match(rf"(?i)^(\s*)([\"']){re.escape(name)}(\[[^\]]*\])?[^\"']*[\"'],?\s*$", line)
        if quoted:
            return (
                f"{quoted.group(1)}{quoted.group(2)}{package}{quoted.group(2)},\n"
                if line.rstrip().endswith(",")
                else ""
            )
        if re.match(rf"(?i)^{re.escape(name)}\s*=", stripped):
            base, _, extra = package.partition("[")
            extras = extra.rstrip("]")
            return f'{base} = {{version = "*", extras = ["{extras}"]}}\n' if extras else f'{base} = "*"\n'
    if path.name == "Pipfile" and re.match(rf"(?i)^{re.escape(name)}\s*=", stripped):
        base, _, extra = package.partition("[")
        return f'{base} = {{version = "*", extras = ["{extra.rstrip("]")}"]}}\n' if extra else f'{base} = "*"\n'
    return ""


__all__ = ["update_requirements"]
