"""What another thread is doing: its stack, read in one step.

A frame becomes an object when it is asked for. On Python 3.11 that may start the garbage collector, whose
callbacks let go of the interpreter's lock in the middle of it: the other thread returns from the frame, and
memory that is no longer the frame's is written to. So the whole stack is read within one call into C, with the
collector off.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from itertools import accumulate, chain, islice, repeat, tee
from operator import attrgetter, itemgetter
from types import FrameType
from typing import Any

from sqlawait.guards.sites import Line

_line: Any = attrgetter("f_code", "f_lasti")


def look(thread: int) -> list[tuple[FrameType, Line]]:
    """The frames of a thread with their lines at this moment, innermost first; none where it has ended.

    The frames themselves go on meanwhile: they are good for telling one from another, and for nothing else.
    """
    collects = gc.isenabled()
    gc.disable()
    found: list[tuple[FrameType, Line]] = []
    innermost: Iterable[Any] = map(itemgetter(thread), islice(iter(sys._current_frames, None), 1))
    frames, same = tee(accumulate(chain(innermost, repeat("f_back")), getattr))
    try:
        found.extend(zip(frames, map(_line, same), strict=False))
    except (AttributeError, KeyError):  # past the outermost one; or there is no such thread
        pass
    finally:
        if collects:
            gc.enable()
    return found


__all__ = ["look"]
