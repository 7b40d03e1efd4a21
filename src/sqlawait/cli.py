"""The commands, thin: each parses its options and calls the room that does the work."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sqlawait.exceptions import SqlawaitError

app = typer.Typer(
    name="sqlawait",
    help="Async SQLAlchemy for FastAPI, done right: serve, new, check, convert, bench.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
db = typer.Typer(
    help="Migrations, by Alembic: the project's own where [bold]alembic.ini[/bold] stands, else the service's.",
    no_args_is_help=True,
)
app.add_typer(db, name="db")

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", envvar="DATABASE_URL", help="The database; its driver is completed."),
]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", help="The port; 0 takes a free one.")] = 8000,
    database_url: DatabaseUrl = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each has a pool of its own.")] = 1,
    demo: Annotated[
        bool | None, typer.Option(help="Load demo data into an empty database; by default on SQLite only.")
    ] = None,
    inspect: Annotated[
        bool, typer.Option(help="The inspector, and guards that raise: on this machine, with one worker.")
    ] = True,
    demo_mistakes: Annotated[
        bool, typer.Option("--demo-mistakes", help="Add one route a mistake, to be seen in the inspector.")
    ] = False,
) -> None:
    """Serve the reference service: prepares the database, then prints the addresses worth opening.

    [bold]Examples[/bold]

      sqlawait serve

      sqlawait serve --database-url postgresql://app@localhost/shop --workers 4
    """
    from sqlawait.commands.serve import serve

    _set_database(database_url)
    serve(
        host=host,
        port=port,
        workers=workers,
        with_demo=demo,
        inspect=inspect,
        demo_mistakes=demo_mistakes,
    )


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The project's name, a Python identifier: also its folder.")],
    folder: Annotated[Path, typer.Option("--in", help="Where the project's folder is made.")] = Path(),
) -> None:
    """Start a project of your own from the reference service.

    [bold]Example[/bold]

      sqlawait new shop
    """
    from sqlawait.commands.new import new

    typer.echo(new(name, folder))


@app.command()
def bench(
    database: Annotated[
        str, typer.Option(help="[bold]postgresql[/bold] (one that comes with Python) or [bold]sqlite[/bold].")
    ] = "postgresql",
    database_url: Annotated[
        str | None,
        typer.Option(
            help="A server of yours instead; its tables get a schema of their own, removed afterwards."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option(help="A few places only, in a minute or two.")] = False,
    apps: Annotated[
        list[str] | None, typer.Option("--app", help="Only these: sync, halfway, usual, moved, verbs, shaped …")
    ] = None,
    workloads: Annotated[
        list[str] | None,
        typer.Option("--workload", help="Only these: one, nested, list, insert, update, mixed, slow."),
    ] = None,
    concurrency: Annotated[list[int] | None, typer.Option(help="Clients at once: 1, 64 and 1000.")] = None,
    latency: Annotated[
        list[float] | None,
        typer.Option(help="Of the database, for [bold]slow[/bold]: ms each way, 0, 1, 5 and 20."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each app has its turn.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="How long a turn is.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="To the database, of each app.")] = 20,
    json: Annotated[Path | None, typer.Option(help="Write every figure to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report with its charts to this file.")] = None,
) -> None:
    """Is async worth it here? The same API served in six ways, measured side by side on this machine.

    Options that may be given several times choose: --app usual --app shaped.

    [bold]Examples[/bold]

      sqlawait bench --quick --html report.html

      sqlawait bench --database sqlite --workload nested --concurrency 64

      sqlawait bench --database-url postgresql://me@db.example/test --workload slow --latency 0

      sqlawait bench --app usual --app shaped --app handwritten --json figures.json
    """
    from rich.console import Console

    from sqlawait.bench.command import Options
    from sqlawait.bench.command import bench as measure

    options = Options(
        database=database_url or database,
        apps=apps or (),
        workloads=workloads or (),
        concurrency=concurrency or (),
        latency=latency or (),
        rounds=rounds,
        seconds=seconds,
        quick=quick,
        connections=connections,
        json=json,
        html=html,
    )
    measure(options, Console())


@app.command()
def check(  # noqa: PLR0917 - typer makes one option of each, by name
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders; by default, this folder.")
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(help="Codes, prefixes or names of rules; ALL for all.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out.")] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Apply safe fixes.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="With --fix or --diff: the others too.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what the fixes would change, and change nothing.")
    ] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Count the findings by rule.")] = False,
    output_format: Annotated[str, typer.Option(help="full, concise, json, github or sarif.")] = "full",
    baseline: Annotated[
        Path | None,
        typer.Option(help="Known findings: written when the file is missing, left out when it is there."),
    ] = None,
    add_noqa: Annotated[bool, typer.Option("--add-noqa", help="Silence every finding by a comment.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever is found.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress.")] = False,
) -> None:
    """Find where the event loop is blocked and where async SQLAlchemy is misused; nothing of the code is run.

    Exits with 0 when nothing is found, 1 when something is, 2 when the command is wrong.

    [bold]Examples[/bold]

      sqlawait check src/

      sqlawait check src/ --select SAW1,SAW3 --output-format github

      sqlawait check src/ --fix --unsafe-fixes
    """
    from sqlawait.check import command

    options = command.Options(
        paths=tuple(paths or [Path()]),
        select=tuple(select or ()),
        ignore=tuple(ignore or ()),
        fix=fix,
        unsafe_fixes=unsafe_fixes,
        diff=diff,
        statistics=statistics,
        output_format=output_format,
        baseline=baseline,
        add_noqa=add_noqa,
        exit_zero=exit_zero,
        quiet=quiet,
    )
    raise typer.Exit(command.check(options))


@app.command()
def rule(
    name: Annotated[str | None, typer.Argument(help="A code or a name, such as SAW101.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all rules.")] = False,
) -> None:
    """Explain a rule of the check.

    [bold]Example[/bold]

      sqlawait rule SAW301
    """
    from sqlawait.check import command

    raise typer.Exit(command.rule(name, everything=everything))


@db.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="Where to stop; head is the newest.")] = "head",
    database_url: DatabaseUrl = None,
) -> None:
    """Bring the database to a revision.

    [bold]Example[/bold]

      sqlawait db upgrade
    """
    from sqlawait.commands import migrations

    _set_database(database_url)
    migrations.upgrade(revision)


@db.command()
def revision(
    message: Annotated[str, typer.Option("--message", "-m", help="What the migration does.")],
    database_url: DatabaseUrl = None,
) -> None:
    """Write a migration: what the models have and the database has not.

    [bold]Example[/bold]

      sqlawait db revision -m "add users.nickname"
    """
    from sqlawait.commands import migrations

    _set_database(database_url)
    migrations.revise(message)


@db.command()
def current(database_url: DatabaseUrl = None) -> None:
    """Print the revision that the database is at."""
    from sqlawait.commands import migrations

    _set_database(database_url)
    migrations.current()


@db.command(name="copy")
def copy_database(
    source: Annotated[str, typer.Argument(help="The SQLite database; it is only read.")],
    target: Annotated[str, typer.Argument(help="A PostgreSQL or MySQL database, migrated and empty.")],
    models: Annotated[
        str | None,
        typer.Option(help="Where the tables are, as package.module:Base; by default as the migrations."),
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="A table to leave out; may be repeated.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Empty the target of an unfinished copy and begin again.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Move a SQLite database to PostgreSQL or MySQL.

    Every value is checked before anything is written; all is compared after.
    A copy that was interrupted goes on when the command is given again.

    Exit codes: 0 copied, 1 a value does not fit or the copy differs, 2 refused.

    [bold]Examples[/bold]

      sqlawait db upgrade --database-url postgresql://app@localhost/shop

      sqlawait db copy sqlite:///shop.db postgresql://app@localhost/shop

      sqlawait db copy sqlite:///shop.db mysql://app@localhost/shop --models shop.models:Base --json
    """
    from sqlawait.commands.copying import Options, copy

    options = Options(
        source=source, target=target, models=models, without=without or (), restart=restart, as_json=json
    )
    raise typer.Exit(copy(options))


@app.command()
def convert(  # noqa: PLR0917  # a command line's options are its parameters
    path: Annotated[Path, typer.Argument(exists=True, help="The code base, or a file of it.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write the changes; without it they are shown.")
    ] = False,
    commit: Annotated[
        bool, typer.Option("--commit", help="Write them and commit each phase; the code runs after every one.")
    ] = False,
    tests: Annotated[bool, typer.Option("--tests", help="Convert the test suite too.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="A route (/users/*), module, function or folder and what it reaches; may be repeated."
            " The rest goes on with a sync session beside it."
        ),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(help="The async driver for PostgreSQL: psycopg (version 3) or asyncpg."),
    ] = None,
    trace: Annotated[
        str | None,
        typer.Option(
            help="A command that runs the sync suite, such as 'pytest tests', to learn from it what is loaded"
            " on access; or the file of an earlier trace."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write what was done, and what is left, to a file: .html or .json.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write even where git could not undo it.")] = False,
) -> None:
    """Turn a sync FastAPI and SQLAlchemy code base into an async one.

    Prints the diff, the plan phase by phase, what is left under a TODO, and what `sqlawait check` finds in the
    result that it did not find before. Writes all files or none.

    Exit codes: 0 all converted, 1 something is left to do (a TODO, or a new finding), 2 refused, with nothing
    written.

    [bold]Examples[/bold]

      sqlawait convert src/

      sqlawait convert . --commit --tests --report conversion.html

      sqlawait convert src/ --write --only "/users/*"

      sqlawait convert src/ --write --only app.reports --only app.users.list_users

      sqlawait convert . --write --tests --trace ".venv/bin/python -m pytest"
    """
    from sqlawait.check.progress import progress_bar
    from sqlawait.convert.apply import Refused
    from sqlawait.convert.command import Request
    from sqlawait.convert.command import convert as run
    from sqlawait.convert.tracing.run import NothingRecorded
    from sqlawait.convert.tracing.trace import UnreadableTrace

    request = Request(
        path,
        write=write,
        tests=tests,
        only=tuple(only or ()),
        driver=driver,
        report=report,
        trace=trace,
        force=force,
        commit=commit,
    )
    try:
        with progress_bar() as progress:
            result = run(request, _echo, progress)
    except (Refused, NothingRecorded, UnreadableTrace) as refused:
        typer.secho(f"error: {refused}", fg="red", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(1 if result.todos or result.findings else 0)


def _echo(text: str) -> None:
    """Print; the lines of a diff in colours, on a terminal."""
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        typer.secho(line, fg=colours.get(line[:1]), bold=line.startswith(("+++", "---")))


def _set_database(url: str | None) -> None:
    """Hand the URL on the way that every process of the service reads it."""
    if url:
        os.environ["DATABASE_URL"] = url


def main() -> None:
    """Run the command line. What sqlawait raises is for the reader of a terminal: the message, no traceback."""
    try:
        app()
    except SqlawaitError as error:
        typer.secho(f"sqlawait: {error}", fg="red", err=True)
        raise SystemExit(1) from None
