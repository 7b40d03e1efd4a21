"""Who is told of the statements that go to the driver itself, where SQLAlchemy has no event for them.

A watcher is registered once a process, or once an engine. Where there is none, a statement pays for one look at
an empty list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sqlalchemy import Engine


class Watched(Protocol):
    """What a watcher notes of one statement."""

    def sent(self) -> None:
        """It has its connection and is on its way."""

    def ended(self, rows: int | None, error: BaseException | None) -> None:
        """It was answered, or has failed: waiting for the connection included."""


class Watcher(Protocol):
    """Told of each statement before it has a connection; None where it has no interest in it."""

    def __call__(
        self, engine: Engine, sql: str, arguments: Sequence[Any], statement: Any, /
    ) -> Watched | None: ...


STATEMENT = "sqlawait_statement"
"""Execution option of a statement that is sent as text: the statement object that it was made of."""

_watchers: list[Watcher] = []
_OWN = "_sqlawait_watchers"
_COVERED = "_sqlawait_covered"


def watch(
    watcher: Watcher, *, engine: Engine | None = None, instead_of: Sequence[Callable[..., Any]] = ()
) -> None:
    """Tell ``watcher`` of each statement from now on.

    Parameters:
        watcher: must be quick.
        engine: of this engine's statements only, as long as it lives; else of those of the whole process.
        instead_of: SQLAlchemy listeners of the same hand. They are told of all other statements, so their
            presence is no reason to send a statement the long way.
    """
    if engine is None:
        _watchers.append(watcher)
    else:  # the dialect is one for all that Engine.execution_options() makes of an engine
        engine.dialect.__dict__.setdefault(_OWN, []).append(watcher)
    for listener in instead_of:
        setattr(listener, _COVERED, True)


def unwatch(watcher: Watcher) -> None:
    """Undo :func:`watch` of the whole process."""
    _watchers.remove(watcher)


def is_covered(listener: Any) -> bool:
    """Whether a watcher stands for a listener."""
    return getattr(listener, _COVERED, False)


def began(engine: Engine, sql: str, arguments: Sequence[Any], statement: Any) -> Sequence[Watched]:
    """Tell the watchers of a statement; gives what is to be told of the rest."""
    own: Sequence[Watcher] = engine.dialect.__dict__.get(_OWN, ())
    if not own:
        if not _watchers:
            return ()
        if len(_watchers) == 1:
            one = _watchers[0](engine, sql, arguments, statement)
            return () if one is None else (one,)
    told = [watcher(engine, sql, arguments, statement) for watcher in (*_watchers, *own)]
    return [one for one in told if one is not None]


__all__ = ["STATEMENT", "Watched", "Watcher", "began", "is_covered", "unwatch", "watch"]
