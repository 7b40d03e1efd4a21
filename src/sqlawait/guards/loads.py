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


Load = tuple[int, int, Stack]
"""A select that a session ran, or several from one line: the numbers before and after it, and the lines."""


def remember(session: Session, before: int, stack: Stack) -> None:
    """Note which line ran a select; ``before`` is the number that was the next one then."""
    try:
        loads: deque[Load] = session.__dict__[_LOADS]
    except KeyError:
        loads = session.__dict__[_LOADS] = deque(maxlen=_KEPT)
    else:
        if loads[-1][2] is stack:  # a loop that loads one by one: the line is the same throughout
            before = loads.pop()[0]
    loads.append((before, now(), stack))


def stack_of(session: Session | None, state: InstanceState[Any]) -> Stack:
    """The lines that loaded an object; empty where that is not known."""
    number = state.runid
    if number is None or session is None:
        return ()
    loads: deque[Load] = session.__dict__.get(_LOADS, deque())
    for before, after, stack in reversed(loads):
        if before < number < after:
            return stack
    return ()


def loaded_at(session: Session | None, state: InstanceState[Any]) -> Site | None:
    """The line that loaded an object."""
    return innermost(stack_of(session, state))


__all__ = ["loaded_at", "now", "remember", "stack_of"]
