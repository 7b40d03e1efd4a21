"""Which line of the application is at work: the stack without the libraries.

A statement runs deep below SQLAlchemy, in a greenlet of its own. The walk goes up the frames, crosses from a
greenlet into its parent, and keeps the frames of the application only.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import greenlet

from sqlawait.events import Site

Line = tuple[CodeType, int]
Stack = tuple[Line, ...]
"""The application's lines, innermost first, as code objects and offsets in their bytecode.

Cheap to take and to compare: a line's number costs more than the rest, and is worked out for a message.
"""

_APP, _THIRD_PARTY, _PLUMBING, _BOUNDARY = range(4)

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
_OWN_APPLICATIONS = tuple(
    _PACKAGE + name for name in (f"service{os.sep}", f"bench{os.sep}", f"inspector{os.sep}mistakes.py")
)
_SERVING = tuple(_PACKAGE + name for name in (f"fastapi{os.sep}", f"guards{os.sep}middleware.py"))
_SCRIPTS = sysconfig.get_path("scripts") + os.sep
_STDLIB = tuple(str(Path(sysconfig.get_path(name))) + os.sep for name in ("stdlib", "platstdlib"))
_BOUNDARIES = {
    "fastapi",
    "starlette",
    "uvicorn",
    "_pytest",
    "pytest",
    "pluggy",
    "anyio",
    "pytest_asyncio",
    "httpx",
    "httpx2",
}
_DATABASE = {
    "aiomysql",
    "aiosqlite",
    "asyncmy",
    "asyncpg",
    "greenlet",
    "psycopg",
    "psycopg2",
    "pymysql",
    "sqlalchemy",
}
_PLUMBERS = _DATABASE | {"pydantic", "sqlmodel", "uvloop", "typing_extensions", "playwright"}
_LINES = 6
"""Lines of the application that are kept of a stack."""
_DEPTH = 80
"""Frames looked at before giving up: a request in FastAPI with SQLAlchemy below it is 40 to 60 deep."""


@lru_cache(maxsize=4096)
def _package(filename: str) -> str | None:
    """The installed package that a file belongs to, None for one that is not installed."""
    parts = Path(filename).parts
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] in {"site-packages", "dist-packages"}:
            return parts[index + 1].removesuffix(".py") if index + 1 < len(parts) else ""
    return None


_kinds: dict[str, int] = {}
"""What was found out of each file: a plain dict, for the walk up a stack asks it for each frame."""


def _kind(filename: str) -> int:
    package = _package(filename)
    if package is not None:
        if package in _BOUNDARIES:
            return _BOUNDARY
        return _PLUMBING if package in _PLUMBERS else _THIRD_PARTY
    if filename.startswith(("<", _SCRIPTS)):  # a server's own script in .venv/bin
        return _PLUMBING
    if filename.startswith(_SERVING):
        return _BOUNDARY
    if filename.startswith(_PACKAGE):
        return _APP if filename.startswith(_OWN_APPLICATIONS) else _PLUMBING
    return _PLUMBING if filename.startswith(_STDLIB) else _APP


def kind_of(filename: str) -> int:
    """What sort of code a file holds."""
    kind = _kinds.get(filename)
    if kind is None:
        kind = _kinds[filename] = _kind(filename)
    return kind


def is_database(filename: str) -> bool:
    """Whether a file belongs to SQLAlchemy, a driver or this library."""
    return _package(filename) in _DATABASE or (filename.startswith(_PACKAGE) and kind_of(filename) != _APP)


def is_app(filename: str) -> bool:
    """Whether a file is the application's own."""
    return kind_of(filename) == _APP


def is_standard(filename: str) -> bool:
    """Whether a file belongs to Python itself."""
    return filename.startswith("<") or (_package(filename) is None and filename.startswith(_STDLIB))


@lru_cache(maxsize=4096)
def site_of(code: CodeType, offset: int) -> Site:
    """The printable line of a place in the bytecode."""
    found = code.co_firstlineno
    for start, end, line in code.co_lines():
        if start <= offset < end:
            found = line or found
            break
    return Site(_short(code.co_filename), found, code.co_name)


@lru_cache(maxsize=4096)
def _short(file: str) -> str:
    """A path as one would type it: below the working directory, or below where Python looks for modules."""
    with suppress(OSError):  # the working directory may be gone
        if file.startswith(here := os.getcwd() + os.sep):  # noqa: PTH109 # a Path would have to be made a string
            return file[len(here) :]
    roots = [root + os.sep for root in sys.path if root and file.startswith(root + os.sep)]
    return file[len(max(roots, key=len)) :] if roots else file


def frames(frame: FrameType | None = None) -> Iterator[FrameType]:
    """The running frames from the innermost one outwards, through the greenlets of SQLAlchemy."""
    here: Any = greenlet.getcurrent()
    frame = frame or sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
        if frame is None and here is not None:
            here = here.parent
            frame = here.gr_frame if here is not None else None


class Call:
    """An operation of an AsyncSession that is under way, and the lines that called it.

    Parameters:
        operation: its name.
        caller: the frame that calls it.
        later: look at the lines when they are asked for, if ever: the caller waits there until the end.
        walks: the application's own code may run inside of it.
    """

    __slots__ = ("_caller", "_stack", "operation", "task", "walks")

    def __init__(self, operation: str, caller: FrameType, *, later: bool, walks: bool) -> None:
        self.operation = operation
        self.walks = walks
        self.task: asyncio.Task[Any] | None = None
        if later:
            self._caller: FrameType | None = caller
        else:
            self._stack = stack_from(caller)

    @property
    def stack(self) -> Stack:
        """The application's lines that called it, innermost first."""
        try:
            return self._stack
        except AttributeError:
            assert self._caller is not None
            self._stack = stack_from(self._caller)
            return self._stack


current_call: ContextVar[Call | None] = ContextVar("sqlawait_call", default=None)


def app_stack() -> Stack:
    """The application's lines that led here, innermost first; empty where no application is at work.

    An application that is itself an installed package is found too, where nothing else is.
    """
    call = current_call.get()
    if call is not None and not call.walks:
        return call.stack
    return stack_from(sys._getframe(1)) or (call.stack if call is not None else ())


def stack_from(start: FrameType) -> Stack:
    """The application's lines from a frame outwards, innermost first."""
    found: list[Line] = []
    outer: Line | None = None
    here: Any = None
    kinds = _kinds
    frame: Any = start
    for _ in range(_DEPTH):
        code = frame.f_code
        try:
            kind = kinds[code.co_filename]
        except KeyError:
            kind = kind_of(code.co_filename)
        if kind != _PLUMBING:
            if kind == _BOUNDARY:
                break
            if kind == _APP:
                found.append((code, frame.f_lasti))
                if len(found) == _LINES:
                    break
            elif outer is None:
                outer = (code, frame.f_lasti)
        frame = frame.f_back
        if frame is None:
            here = (here or greenlet.getcurrent()).parent
            frame = here.gr_frame if here is not None else None
            if frame is None:
                break
    return tuple(found) or ((outer,) if outer else ())


def innermost(stack: Stack) -> Site | None:
    """The line at the top of a stack."""
    return site_of(*stack[0]) if stack else None


def app_site() -> Site | None:
    """The application's line that led here."""
    return innermost(app_stack())


def suspended_frames(coroutine: Any) -> list[FrameType]:
    """Where a suspended coroutine waits: its frames along the chain of awaits, innermost first."""
    found: list[FrameType] = []
    while coroutine is not None:
        frame = (
            getattr(coroutine, "cr_frame", None)
            or getattr(coroutine, "gi_frame", None)
            or getattr(coroutine, "ag_frame", None)
        )
        if frame is None:
            break
        found.append(frame)
        coroutine = (
            getattr(coroutine, "cr_await", None)
            or getattr(coroutine, "gi_yieldfrom", None)
            or getattr(coroutine, "ag_await", None)
        )
    found.reverse()
    return found


__all__ = [
    "Call",
    "Line",
    "Stack",
    "app_site",
    "app_stack",
    "current_call",
    "frames",
    "innermost",
    "is_app",
    "is_database",
    "is_standard",
    "site_of",
    "stack_from",
    "suspended_frames",
]
