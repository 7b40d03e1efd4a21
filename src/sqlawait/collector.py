"""Python's garbage collector, set for a process that serves requests.

Objects go when nothing refers to them. The collector is there for cycles only, and to find them it looks
through every container that lives: with SQLAlchemy and Pydantic loaded that takes 40 ms and more, in which
nobody is answered. With 64 requests under way it came three times a second, since what a request holds while
it waits looks long-lived.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_PYTHONS = {700, 2000}
"""Python's own thresholds, by version: any other was set by the program, and stays."""
_YOUNG = 10_000
"""Containers made and not yet gone after which the young ones are looked through."""

_found: list[tuple[int, int, int]] = []
"""What each application of the process that serves found set when it started."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """While an application serves, collect less often, and leave out what was there when it started.

    When the last application of the process has stopped, the collector is as the first one found it.

    Example::

        with rare_collections():
            await server.serve()
    """
    young, *older = found = gc.get_threshold()
    _found.append(found)
    gc.freeze()
    if young in _PYTHONS:
        gc.set_threshold(_YOUNG, *older)
    try:
        yield
    finally:
        first = _found[0]
        _found.pop()
        if not _found:
            gc.unfreeze()
            if gc.get_threshold()[0] == _YOUNG:
                gc.set_threshold(*first)


__all__ = ["rare_collections"]
