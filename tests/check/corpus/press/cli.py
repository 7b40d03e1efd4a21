"""The command line: blocking is right here."""

import asyncio
import subprocess
import time

import typer
from sqlalchemy import select

from .db import SessionMaker, SyncSessionMaker
from .models import Article
from .worker import reindex

cli = typer.Typer()


@cli.command()
def articles() -> None:
    with SyncSessionMaker() as session:
        for title in session.scalars(select(Article.title)):  # ok: SAW101
            typer.echo(title)


@cli.command()
def reindex_desk(desk_id: int) -> None:
    typer.echo(asyncio.run(reindex(desk_id)))  # ok: SAW106


@cli.command()
def dump(path: str) -> None:
    subprocess.run(["pg_dump", "press", "-f", path], check=True)  # ok: SAW104
    time.sleep(1)  # ok: SAW104


async def _count() -> int:
    async with SessionMaker() as session:
        return len((await session.scalars(select(Article.id))).all())


@cli.command()
def count() -> None:
    loop = asyncio.get_event_loop()
    typer.echo(loop.run_until_complete(_count()))  # ok: SAW106


def main() -> None:
    cli()


if __name__ == "__main__":
    main()
