"""What ends a copy before anything is written."""

from __future__ import annotations

from sqlawait.exceptions import SqlawaitError


class Refused(SqlawaitError):
    """The copy is not begun: a fact and a remedy."""


__all__ = ["Refused"]
