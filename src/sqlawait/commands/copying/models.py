"""Which tables there are: the models' metadata, as the migrations know it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table

from sqlawait.commands.copying.refused import Refused
from sqlawait.commands.migrations import config


def tables_of(models: str) -> list[Table]:
    """The tables of ``package.module:Base``, or of a ``MetaData``.

    Raises:
        Refused: there is no such thing.
    """
    module, _, name = models.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = import_module(module)
        for part in (name or "Base").split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise Refused(f"{models!r} names no models ({error}); give it as package.module:Base") from error
    finally:
        sys.path.pop(0)
    metadata = getattr(found, "metadata", found)
    if not isinstance(metadata, MetaData):
        raise Refused(
            f"{models!r} is neither a declarative base nor a MetaData; give it as package.module:Base"
        )
    return list(metadata.tables.values())


def migrated_tables(url: str) -> tuple[list[Table], set[str]]:
    """The tables that the migrations are made from, and the revision of the database at ``url``.

    Raises:
        Refused: that database is not at the newest revision.
    """
    settings = config(url)
    script = ScriptDirectory.from_config(settings)
    found: list[Table] = []
    at: set[str] = set()

    def look(revision: Any, context: Any) -> list[Any]:
        metadata = context.opts["target_metadata"]
        for each in metadata if isinstance(metadata, (list, tuple)) else [metadata]:
            found.extend(each.tables.values())
        at.update(revision)
        return []

    with EnvironmentContext(settings, script, fn=look, dont_mutate=True):
        script.run_env()
    newest = set(script.get_heads())
    if at != newest:
        raise Refused(
            f"the target is at revision {_revision(at)} and the newest is {_revision(newest)};"
            " run: sqlawait db upgrade --database-url TARGET"
        )
    return found, at


def _revision(versions: set[str]) -> str:
    return ", ".join(sorted(versions)) or "none"


__all__ = ["migrated_tables", "tables_of"]
