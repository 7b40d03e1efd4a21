"""Which line loaded an object: found out when it is asked for, at hardly any cost until then.

Each execution of an ORM select has a number, which SQLAlchemy notes on the objects that it makes or loads anew.
A session keeps the numbers between which its selects ran, with their lines.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from sqlalchemy.orm import InstanceState, Session, loading

from sqlawait.events import Site
from sqlawait.guards.sites import Stack, innermost

now = loading._new_runid
"""The next number: smaller than that of each execution from now on."""

_LOADS = "_sqlawait_loads"
_KEPT = 256
"""Selects that a session remembers."""


class Load:
    """A select that a session ran, or several of them from one line."""

    __slots__ = ("after", "before", "stack")

    def __init__(self, before: int, after: int, stack: Stack) -> None:
        self.before = before
        self.after = after
        self.stack = stack


def remember(session: Session, before: int, stack: Stack) -> None:
    """Note which line ran a select; ``before`` is the number that was the next one then."""
    loads: deque[Load] | None = session.__dict__.get(_LOADS)
    if loads is None:
        loads = session.__dict__[_LOADS] = deque(maxlen=_KEPT)
    elif loads[-1].stack is stack:  # a loop that loads one by one: the line is the same throughout
        loads[-1].after = now()
        return
    loads.append(Load(before, now(), stack))


def stack_of(session: Session | None, state: InstanceState[Any]) -> Stack:
    """The lines that loaded an object; empty where that is not known."""
    number = state.runid
    if number is None or session is None:
        return ()
    loads: deque[Load] = session.__dict__.get(_LOADS, deque())
    for load in reversed(loads):
        if load.before < number < load.after:
            return load.stack
    return ()


def loaded_at(session: Session | None, state: InstanceState[Any]) -> Site | None:
    """The line that loaded an object."""
    return innermost(stack_of(session, state))


__all__ = ["loaded_at", "now", "remember", "stack_of"]
