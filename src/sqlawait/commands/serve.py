"""``sqlawait serve``: the reference service, ready to be tried."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile

import uvicorn
from rich.console import Console
from sqlalchemy import make_url

from sqlawait import Database
from sqlawait.commands import migrations
from sqlawait.exceptions import ConfigurationError
from sqlawait.inspector import PATH
from sqlawait.inspector.mistakes import PREFIX as MISTAKES
from sqlawait.service import demo
from sqlawait.service.embedder import embedder
from sqlawait.service.settings import Settings

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
ADDRESSES = {
    "/docs": "every route, to be tried",
    "/users?limit=5": "a page",
    "/users/1/combined": "a user with posts",
    "/categories/1": "a category with items",
    "/reports/accounts": "blocking code, off the event loop",
    "/health/ready": "asks the database",
    "/metrics": "for Prometheus",
}

_WORKER_ANSWERS = 60
"""Seconds after which uvicorn takes a silent worker for dead: with its own 5, one that starts slowly on a busy
machine is restarted over and over."""


def serve(
    *, host: str, port: int, workers: int, with_demo: bool | None, inspect: bool, demo_mistakes: bool
) -> None:
    """Prepare the database and serve until stopped.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        workers: Processes; each has a pool of its own.
        with_demo: Load demo data into an empty database; None does so on SQLite only.
        inspect: Guards that raise, and the inspector; on this machine and with one process only.
        demo_mistakes: One route a mistake, to be seen in the inspector.
    """
    if inspect and workers == 1 and host in LOOPBACK:
        os.environ.setdefault("GUARDS", "raise")
        os.environ.setdefault("INSPECTOR_TOKEN", secrets.token_urlsafe(24))
    if demo_mistakes:
        os.environ["DEMO_MISTAKES"] = "true"
    settings = Settings()
    url = make_url(settings.database_url)
    port = _free_port(host, port)
    migrations.upgrade(url=settings.database_url)
    if with_demo or (with_demo is None and url.get_backend_name() == "sqlite"):
        asyncio.run(_load_demo(settings))
    addresses = dict(ADDRESSES)
    if settings.inspector_token:
        addresses[f"{PATH}/?token={settings.inspector_token}"] = "the inspector: what each request did"
    if settings.demo_mistakes:
        addresses[MISTAKES] = "one route a mistake, to see in the inspector"
    _print_addresses(f"http://{host}:{port}", url.render_as_string(), addresses)
    with tempfile.TemporaryDirectory(prefix="sqlawait-") as metrics:
        if workers > 1:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", metrics)  # so that any worker answers for all
        uvicorn.run(
            "sqlawait.service.main:app",
            host=host,
            port=port,
            workers=workers,
            timeout_graceful_shutdown=30,
            timeout_worker_healthcheck=_WORKER_ANSWERS,
        )


def _free_port(host: str, port: int) -> int:
    """Make sure of the port before the addresses are printed; 0 becomes one that is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as server:
            free: int = server.getsockname()[1]
            return free
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror}); take another with --port, or --port 0"
        ) from error


async def _load_demo(settings: Settings) -> None:
    async with Database(settings.database_url) as db, db.transaction() as session:
        await demo.load(session, embedder(settings.embedder))


def _print_addresses(base: str, database: str, addresses: dict[str, str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]sqlawait[/bold] serves {database}. Worth opening:")
    for path, what in addresses.items():
        console.print(f"  [cyan]{base}{path}[/cyan]  {what}")
