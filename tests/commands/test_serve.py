"""``sqlawait serve``: a process of its own, as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from sqlawait.cli import main

Command = Callable[..., str]


class Served:
    """A running ``sqlawait serve``."""

    def __init__(self, folder: Path, *options: str, workers: int = 1, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sqlawait", "serve", "--workers", str(workers), *options],
            cwd=folder,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log = ""
        self._ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)  # all the time: a full pipe would stop the service
        self._reader.start()
        try:
            self._wait_for("Application startup complete", times=workers)
            found = re.search(r"(http://\S+)/docs", self.log)
            assert found is not None, self.log
        except BaseException:
            self.__exit__()
            raise
        self.base = found[1]

    def get(self, path: str) -> httpx2.Response:
        """Ask for a path."""
        return httpx2.get(self.base + path, timeout=120)

    def ask_to_stop(self) -> None:
        """Send what ``docker stop`` and Ctrl-C's kin send."""
        self.process.send_signal(signal.SIGTERM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ask_to_stop()
        try:
            self.process.wait(timeout=120)
        finally:
            self.process.kill()
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.log += line
                self._more.notify()
        with self._more:
            self._ended = True
            self._more.notify()

    def _wait_for(self, text: str, *, times: int) -> None:
        with self._more:
            self._more.wait_for(lambda: self._ended or self.log.count(text) >= times, timeout=120)
            assert self.log.count(text) >= times, self.log


def test_one_command_gives_a_complete_service(tmp_path: Path) -> None:
    """On an empty folder: a database, its tables, demo data, and addresses that answer; then a clean stop."""
    with Served(tmp_path, "--port", "0") as service:
        assert service.get("/health/ready").json() == {"status": "ok"}
        assert len(service.get("/users/1/combined").json()["posts"]) == 10
        assert service.get("/docs").status_code == 200
        query = {"text": "greatest common divisor", "k": 3}
        found = httpx2.post(f"{service.base}/documents/search", json=query, timeout=120)
        assert "math.gcd" in {each["document"]["title"] for each in found.json()}
    assert "Application shutdown complete" in service.log
    assert (tmp_path / "sqlawait.db").exists()
    with Served(tmp_path, "--port", "0") as again:  # keeps what is there
        assert len(again.get("/users?limit=100").json()["items"]) == 16


def test_the_port_and_the_database_come_from_the_environment_too(tmp_path: Path) -> None:
    """PORT and DATABASE_URL are what a platform sets."""
    url = f"sqlite:///{tmp_path}/other.db"
    with Served(tmp_path, "--no-demo", PORT="0", DATABASE_URL=url) as service:
        assert service.get("/users").json()["items"] == []
    assert (tmp_path / "other.db").exists()


def test_a_stop_lets_requests_finish(tmp_path: Path) -> None:
    """What was being answered when SIGTERM came is answered, to the last row, and the pool is closed."""
    with (
        Served(tmp_path, "--port", "0") as service,
        httpx2.stream("GET", f"{service.base}/users/export", timeout=120) as answer,
    ):
        service.ask_to_stop()
        assert sum(1 for _ in answer.iter_lines()) == 16
    assert "Application shutdown complete" in service.log


def test_workers_share_the_port_and_the_numbers(tmp_path: Path) -> None:
    """With two workers any of them renders the metrics of both."""
    with Served(tmp_path, "--port", "0", workers=2) as service:
        for _ in range(20):
            assert service.get("/users/1").status_code == 200
        numbers = service.get("/metrics").text
    counted = re.search(r'http_request_duration_seconds_count\{.*route="/users/\{user_id\}".*\} (\S+)', numbers)
    assert counted is not None
    assert float(counted[1]) == 20


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_workers_share_keys_cursors_and_the_lock(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whichever of two workers gets it: a key is done once, a cursor goes on, and nobody fails to write."""
    url = request.getfixturevalue(f"{database}_url")
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(numbers), "DATABASE_URL": url, "EMBEDDER": "none"}
    with Served(tmp_path, "--port", "0", "--demo", workers=2, **environment) as service:

        def pay(key: int) -> dict[str, Any]:
            body = {"source_id": 1 + key % 4, "target_id": 5, "amount": "1.00"}
            answer = httpx2.post(
                f"{service.base}/transfers", json=body, headers={"Idempotency-Key": f"{key}"}, timeout=60
            )
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        paid = []
        with ThreadPoolExecutor(8) as clients:
            for _ in range(20):  # a connection a request: whichever worker is awake accepts it
                paid += clients.map(pay, list(range(12)) * 4)
                if len(served(numbers)) == 2:
                    break
            else:
                pytest.fail("one worker served them all")
        assert len({transfer["id"] for transfer in paid}) == 12
        balances = {account["id"]: account["balance"] for account in service.get("/accounts").json()["items"]}
        assert balances[5] == "512.00"
        seen, page = [], service.get("/users?limit=3&sort=-name").json()
        while page["next"]:
            seen += [user["name"] for user in page["items"]]
            page = service.get(f"/users?limit=3&sort=-name&cursor={page['next']}").json()
        seen += [user["name"] for user in page["items"]]
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == 16


def served(numbers: Path) -> set[str]:
    """The workers that have answered transfers, by the files of their metrics."""
    kept = [file.stem for file in numbers.glob("*_*.db") if b"/transfers" in file.read_bytes()]
    return {name.rpartition("_")[2] for name in kept}


def test_a_taken_port_is_said_in_one_line(command: Command) -> None:
    """A fact and a remedy, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = command("serve", "--port", str(taken.getsockname()[1]), "--no-demo")
    assert "take another with --port" in said


def test_a_blocking_driver_is_said_in_one_line(command: Command) -> None:
    """The message names the URL to use instead, and no password."""
    said = command("serve", "--port", "0", "--database-url", "postgresql+psycopg2://a:secret@host/b")
    assert "postgresql+asyncpg://" in said
    assert "secret" not in said


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command that fails, and gives what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///unused.db")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["sqlawait", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        return capsys.readouterr().err

    return run
