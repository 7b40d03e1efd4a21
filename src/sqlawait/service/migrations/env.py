"""Alembic's entry: runs the migrations over the service's own Database."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, Index, text
from sqlalchemy.schema import SchemaItem

from sqlawait import Database
from sqlawait.service.models import Base
from sqlawait.service.settings import Settings

LOCK = 7_273_912_011
"""Any number that nothing else locks: two processes that start at once migrate one after the other."""


def belongs(
    thing: SchemaItem, _name: str | None, _kind: str, _reflected: bool, _other: SchemaItem | None
) -> bool:
    """Leave out what another database has: an index of vectors is PostgreSQL's alone."""
    special = isinstance(thing, Index) and thing.dialect_options["postgresql"]["using"]
    return not special or context.get_context().dialect.name == "postgresql"


def migrate(connection: Connection) -> None:
    """Run what is asked for, in the transaction of the connection."""
    context.configure(connection=connection, target_metadata=Base.metadata, include_object=belongs)
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        case "mysql" | "mariadb":
            connection.execute(text("SELECT GET_LOCK(:lock, 60)"), {"lock": str(LOCK)})
    context.run_migrations()


async def main() -> None:
    """Connect and migrate."""
    url = context.config.attributes.get("url") or Settings().database_url
    async with Database(url) as db, db.engine.begin() as connection:
        await connection.run_sync(migrate)


if context.is_offline_mode():
    raise SystemExit("the migrations ask the database what it is: run them online, without --sql")
asyncio.run(main())
