"""SAW204: a sync driver for an async engine, or the other way round."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from sqlawait.analysis import Analysis
from sqlawait.analysis.texts import UNKNOWN_PART, texts_of
from sqlawait.check.finding import Finding, Fix, replace, source
from sqlawait.check.rule import Example, Rule

RULE = Rule(
    code="SAW204",
    name="mismatch-driver",
    summary="A sync driver stands in the URL of an async engine, or an async driver in that of a sync one.",
    why=(
        "`create_async_engine` refuses a sync driver with InvalidRequestError; a sync engine with an async"
        " driver fails"
        " at its first connection with MissingGreenlet. `postgresql://` means psycopg2 before SQLAlchemy 2.1"
        " and psycopg,"
        " which is async too, from 2.1 on."
    ),
    remedy=(
        "Name the driver in the URL: `postgresql+asyncpg`, `sqlite+aiosqlite`, `mysql+asyncmy` for an async"
        " engine."
    ),
    wrong=(
        Example(
            code="""\
shop = create_async_engine("sqlite:///shop.db")  # SAW204
""",
            fixed="""\
shop = create_async_engine("sqlite+aiosqlite:///shop.db")  # SAW204
""",
        ),
        Example(
            code="""\
shop = create_engine("postgresql+asyncpg://localhost/shop")  # SAW204
""",
            fixed="""\
shop = create_engine("postgresql://localhost/shop")  # SAW204
""",
        ),
    ),
    right=(
        Example("""\
shop = create_async_engine("postgresql+psycopg://localhost/shop")
"""),
        Example("""\
shop = create_engine("postgresql+psycopg://localhost/shop")
"""),
    ),
    fix="unsafe",
    limits="URLs that come from the environment without a default are not known and not judged.",
)
ASYNC = {
    "postgresql": "postgresql+asyncpg",
    "postgresql+psycopg2": "postgresql+asyncpg",
    "postgresql+psycopg2cffi": "postgresql+asyncpg",
    "postgresql+pg8000": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+pysqlite": "sqlite+aiosqlite",
    **dict.fromkeys(("mysql", "mysql+pymysql", "mysql+mysqldb", "mysql+mysqlconnector"), "mysql+asyncmy"),
    **dict.fromkeys(("mariadb", "mariadb+pymysql", "mariadb+mariadbconnector"), "mariadb+asyncmy"),
    **dict.fromkeys(("oracle", "oracle+cx_oracle"), "oracle+oracledb"),
    **dict.fromkeys(("mssql", "mssql+pyodbc", "mssql+pymssql"), "mssql+aioodbc"),
}
"""Blocking dialects and drivers, with the async one to use."""
SYNC = {
    "postgresql+asyncpg": "postgresql",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "sqlite+aiosqlite": "sqlite",
    **dict.fromkeys(("mysql+aiomysql", "mysql+asyncmy"), "mysql+pymysql"),
    **dict.fromkeys(("mariadb+aiomysql", "mariadb+asyncmy"), "mariadb+pymysql"),
    "mssql+aioodbc": "mssql+pyodbc",
    "oracle+oracledb_async": "oracle+oracledb",
}
MAKERS = {
    "sqlalchemy.ext.asyncio.create_async_engine": ASYNC,
    "sqlalchemy.create_engine": SYNC,
}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Engines whose URL is known and has the wrong driver."""
    engines = list(_engines(analysis))
    users: dict[ast.expr, set[str]] = {}
    for _, url, table in engines:
        for _, literal in texts_of(analysis.types, url):
            users.setdefault(literal, set()).add("async" if table is ASYNC else "sync")
    for call, url, table in engines:
        module = analysis.project.module_of(call)
        found = _wrong(analysis, url, table, module.path)
        if found is None:
            continue
        given, instead, literal = found
        kind = "async" if table is ASYNC else "sync"
        other = "blocking" if table is ASYNC else "async"
        message = f"`{given}` is {other}, and this engine is {kind}; use `{instead}` in the URL"
        # A URL that engines of both kinds share is right for one of them: each needs a URL of its own.
        fix = _renamed(analysis, literal, given, instead) if users[literal] == {kind} else None
        yield RULE.at(module, call, message, fix=fix)


def _engines(analysis: Analysis) -> Iterator[tuple[ast.Call, ast.expr, dict[str, str]]]:
    """Every making of an engine, its URL, and the drivers that would be wrong there."""
    for name in ("create_async_engine", "create_engine"):
        for call in dict.fromkeys(analysis.project.collected.calls.get(name, ())):
            table = MAKERS.get(analysis.names.qualified(call.func))
            url = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "url"), None)
            if table is not None and url is not None:
                yield call, url, table


def _wrong(
    analysis: Analysis, url: ast.expr, table: dict[str, str], path: Path
) -> tuple[str, str, ast.expr] | None:
    texts = texts_of(analysis.types, url)
    schemes = [(text.partition("://")[0], literal) for text, literal in texts if "://" in text]
    known = [(scheme, literal) for scheme, literal in schemes if UNKNOWN_PART not in scheme]
    if not known or len(known) != len(texts):
        return None
    if any(scheme not in table for scheme, _ in known):
        return None  # one of the URLs that it can get is right
    scheme, literal = known[0]
    if scheme == "postgresql" and table is ASYNC and _default_is_psycopg(path.parent):
        return None
    return scheme, table[scheme], literal


@lru_cache(maxsize=4096)
def _default_is_psycopg(folder: Path) -> bool:
    """Whether the application asks for SQLAlchemy 2.1 or newer, where plain ``postgresql`` is psycopg."""
    for parent in [folder, *folder.parents][:6]:
        requirement = _requirement(parent)
        if requirement is not None:
            return requirement >= (2, 1)
        if (parent / ".git").exists():
            break
    return False


def _requirement(folder: Path) -> tuple[int, int] | None:
    texts: list[str] = []
    for file in sorted(folder.glob("requirements*.txt")):
        texts += file.read_text(encoding="utf-8", errors="replace").splitlines()
    project = folder / "pyproject.toml"
    if project.is_file():
        try:
            data = tomllib.loads(project.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            data = {}
        texts += [str(each) for each in data.get("project", {}).get("dependencies", [])]
        poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {})
        texts += [f"{name} {value}" for name, value in poetry.items()]
    for text in texts:
        match = re.match(r"\s*sqlalchemy\b[^0-9<]*(?:>=|==|~=|\^|~|>)?\D*?(\d+)\.(\d+)", text, re.IGNORECASE)
        if match is not None and "<" not in text[: match.start(1)]:
            return int(match[1]), int(match[2])
    return None


def _renamed(analysis: Analysis, literal: ast.expr, given: str, instead: str) -> Fix | None:
    module = analysis.project.module_of(literal)
    text = source(module, literal)
    if text.count(f"{given}://") != 1 and text.strip("\"'") != given:
        return None
    edit = replace(module, literal, text.replace(given, instead, 1))
    return Fix(f"Use {instead}", (edit,), safe=False)
