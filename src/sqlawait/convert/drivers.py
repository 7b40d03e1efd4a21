"""The async driver for a database, in URLs and in lists of requirements."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from sqlawait.analysis.declarations import Binding

from .context import Context

SYNC_SCHEMES = {
    "sqlite": "sqlite", "sqlite+pysqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql",
    "postgresql+psycopg2": "postgresql", "postgresql+psycopg2cffi": "postgresql",
    "postgresql+pg8000": "postgresql",
    "mysql": "mysql", "mysql+pymysql": "mysql", "mysql+mysqldb": "mysql", "mysql+mysqlconnector": "mysql",
    "mariadb": "mysql", "mariadb+pymysql": "mysql",
}  # fmt: skip
"""Schemes of blocking drivers. ``postgresql+psycopg`` serves both kinds and stays."""
SCHEME = re.compile(r"^([a-z0-9+]+)(://)")
HELPER = '''
def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {drivers}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")
'''


@dataclass(frozen=True, slots=True)
class Drivers:
    """Which async driver is used for which database."""

    postgresql: str = "psycopg"
    sqlite: str = "aiosqlite"
    mysql: str = "asyncmy"

    def scheme(self, scheme: str) -> str | None:
        """The async scheme for a sync one; None when it is not a sync one."""
        backend = SYNC_SCHEMES.get(scheme)
        return None if backend is None else f"{backend}+{getattr(self, backend)}"

    @property
    def table(self) -> str:
        """The drivers as the source of a dictionary."""
        names = {
            "postgresql": self.postgresql,
            "sqlite": self.sqlite,
            "mysql": self.mysql,
            "mariadb": self.mysql,
        }
        return "{" + ", ".join(f'"{name}": "{driver}"' for name, driver in names.items()) + "}"


def async_url(node: ast.expr, context: Context, drivers: Drivers) -> None:
    """Make a URL expression name the async driver."""
    if literal_url(node, context, drivers):
        return
    if isinstance(node, ast.Name):
        definitions = [
            each for each in context.facts.inference.names.definitions(node) if isinstance(each, Binding)
        ]
        schemes = {_scheme(each.value) for each in definitions if each.value is not None}
        scheme = schemes.pop() if len(schemes) == 1 else None
        if scheme and drivers.scheme(scheme):
            end = context.edits.end(node)
            context.edits.replace(end, end, f'.replace("{scheme}://", "{drivers.scheme(scheme)}://", 1)')
            return
        if scheme and scheme not in SYNC_SCHEMES:
            return
    context.edits.wrap_node(node, "async_url(", ")")
    context.helpers["async_url"] = HELPER.replace("{drivers}", drivers.table)
    context.imports[("sqlalchemy", "URL")] = "URL"
    context.imports[("sqlalchemy", "make_url")] = "make_url"


def literal_url(node: ast.expr, context: Context, drivers: Drivers) -> bool:
    """Rewrite the scheme inside a literal; False when it is not one."""
    scheme = _scheme(node)
    if scheme is None or isinstance(node, ast.Name):
        return False
    async_scheme = drivers.scheme(scheme)
    if async_scheme is not None:
        at = context.edits.find(f"{scheme}://", context.edits.start(node))
        context.edits.replace(at, at + len(scheme), async_scheme)
    return True


def _scheme(node: ast.expr | None) -> str | None:
    """The scheme of a URL that is written out, its start at least."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0] if isinstance(node.values[0], ast.Constant) else None
    if isinstance(node, ast.BinOp):
        return _scheme(node.left)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        match = SCHEME.match(node.value)
        return match.group(1) if match else None
    return None


__all__ = ["HELPER", "SYNC_SCHEMES", "Drivers", "async_url", "literal_url"]
