"""A process of ours that answers each JSON line with one, and ends when its input does."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TextIO

from sqlawait.exceptions import SqlawaitError

Message = dict[str, Any]


class ChildFailed(SqlawaitError):
    """A child ended or did not answer in time; the message holds the end of what it wrote to stderr."""


class Child:
    """The parent's side.

    Parameters:
        module: what to run, as ``python -m module``.
        arguments: its command line.
        environment: variables beside this process's own.
        python: the interpreter; by default the one that runs this.
        patience: seconds that the first line, which says that it is ready, may take.

    The child ends when its input closes, so none outlives this process, however that ends.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
        python: str = sys.executable,
        patience: float = 120.0,
    ) -> None:
        self.module = module
        self._errors = tempfile.TemporaryFile("w+", prefix="sqlawait-bench-")  # noqa: SIM115 - closed in close()
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [python, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._patience = patience

    @cached_property
    def greeting(self) -> Message:
        """The first line, waited for: several children can start at once."""
        return self._next(self._patience)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, message: Message, *, patience: float = 30.0) -> Message:
        """Send a message and wait for its answer.

        Parameters:
            message: what is sent.
            patience: seconds to wait for the answer.

        Raises:
            ChildFailed: it ended, or did not answer in that time.
        """
        assert self.greeting
        try:
            print(json.dumps(message), file=self._input, flush=True)
        except OSError:
            raise self._failure("has ended") from None
        return self._next(patience)

    def close(self, *, force: bool = False) -> None:
        """End the process: by closing its input, and where that does not help in a few seconds, or with
        ``force``, by killing it."""
        if self._errors.closed:
            return
        if force:
            self._process.kill()
        with suppress(OSError):  # it may be gone already, with a line of ours unread
            self._input.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._output.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _input(self) -> TextIO:
        assert self._process.stdin
        return self._process.stdin  # type: ignore[return-value]  # text=True makes it a TextIO

    @property
    def _output(self) -> TextIO:
        assert self._process.stdout
        return self._process.stdout  # type: ignore[return-value]  # text=True makes it a TextIO

    def _read(self) -> None:
        for line in self._output:
            self._lines.put(line)
        self._lines.put("")

    def _next(self, patience: float) -> Message:
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty:
            raise self._failure(f"did not answer in {patience:g} s") from None
        if not line:
            raise self._failure("has ended")
        answer: Message = json.loads(line)
        return answer

    def _failure(self, what: str) -> ChildFailed:
        self._errors.seek(0)
        return ChildFailed(f"{self.module} {what}; it wrote: {self._errors.read()[-2000:] or '(nothing)'}")


def say(message: Message) -> None:
    """Send one line to the parent; the child's side."""
    print(json.dumps(message), flush=True)


def listen(answer: Callable[[Message], Message], *, at_end: Callable[[], object]) -> None:
    """Answer the parent's lines in a thread until there are no more; the child's side."""

    def work() -> None:
        for line in sys.stdin:
            say(answer(json.loads(line)))
        at_end()

    threading.Thread(target=work, daemon=True).start()


def allow_many_files() -> None:
    """Raise the limit of open files to what the system allows: a thousand clients are a thousand sockets."""
    try:
        import resource
    except ImportError:  # not on Windows, where there is no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


__all__ = ["Child", "ChildFailed", "Message", "allow_many_files", "listen", "say"]
