"""Alembic, told where the migrations are: the project's where an ``alembic.ini`` stands, else the service's."""

from __future__ import annotations

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config


def upgrade(revision: str = "head", *, url: str | None = None) -> None:
    """Bring the database to a revision.

    Args:
        revision: Where to stop; ``head`` is the newest.
        url: The database; the settings' unless given.
    """
    command.upgrade(config(url), revision)


def revise(message: str, *, url: str | None = None) -> None:
    """Write a new migration: what the models have and the database has not."""
    command.revision(config(url), message, autogenerate=True)


def current(*, url: str | None = None) -> None:
    """Print the database's revision."""
    command.current(config(url), verbose=True)


def config(url: str | None = None, *, ini: Path = Path("alembic.ini")) -> Config:
    """Alembic's configuration.

    Args:
        url: The database; the settings' unless given. It stays out of Alembic's options, which would print it.
        ini: The project's own configuration, used where it exists.
    """
    if ini.exists():
        made = Config(ini, stdout=sys.stdout)
    else:
        made = Config(stdout=sys.stdout)
        made.set_main_option("script_location", "sqlawait.service:migrations")
        made.set_main_option("path_separator", "os")
    made.attributes["url"] = url
    return made
