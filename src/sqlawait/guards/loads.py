"""Which line loaded an object: found out when it is asked for, at hardly any cost until then.

Each execution of an ORM select has a number, which SQLAlchemy notes on the objects that it makes or loads anew.
A session runs one after the other: it keeps a number from before each of them, with the lines that ran it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from sqlalchemy.orm import InstanceState, Session, loading

from sqlawait.events import Site
from sqlawait.guards.sites import Stack, innermost

_LOADS = "_sqlawait_loads"
_KEPT = 256
"""Selects that a session remembers."""


Load = tuple[int, Stack]
"""A statement that a session ran, or several from one line: a smaller number than its own, and the lines."""


def remember(session: Session, stack: Stack) -> None:
    """Note which line runs a statement that is about to be executed, where no line is known that too."""
    loads: deque[Load] | None = session.__dict__.get(_LOADS)
    if loads is None:
        session.__dict__[_LOADS] = deque(((_next(), stack),), _KEPT)
    elif loads[-1][1] is not stack:  # a loop that loads one by one: the line is the same throughout
        loads.append((_next(), stack))


_next = loading._new_runid


def stack_of(session: Session | None, state: InstanceState[Any]) -> Stack:
    """The lines that loaded an object; empty where that is not known."""
    number = state.runid
    if number is None or session is None:
        return ()
    loads: deque[Load] = session.__dict__.get(_LOADS, deque())
    return next((stack for before, stack in reversed(loads) if before < number), ())


def loaded_at(session: Session | None, state: InstanceState[Any]) -> Site | None:
    """The line that loaded an object."""
    return innermost(stack_of(session, state))


__all__ = ["loaded_at", "remember", "stack_of"]
