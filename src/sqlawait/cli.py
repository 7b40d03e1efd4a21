"""The commands, thin: each parses its options and calls the room that does the work."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="sqlawait",
    help="Async SQLAlchemy for FastAPI, done right: serve, new, check, convert, bench.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    app()
