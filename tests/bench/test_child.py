"""Processes that answer lines."""

from __future__ import annotations

import psutil
import pytest

from sqlawait.bench.child import Child, ChildFailed


def test_a_child_that_fails_says_why() -> None:
    """What the process wrote to stderr is in the message."""
    child = Child("sqlawait.bench.server", "sqlawait.bench.nowhere:app")
    with child, pytest.raises(ChildFailed, match=r"has ended; it wrote: [^$]*nowhere"):
        child.ask({})


def test_a_child_that_does_not_answer_is_given_up() -> None:
    """Waiting is bounded, and the message says for how long it was waited."""
    with Child("sqlawait.bench.proxy", "127.0.0.1", "1") as child:
        assert child.greeting
        with pytest.raises(ChildFailed, match=r"did not answer in 0.05 s"):
            child._next(0.05)


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_left_after_closing(force: bool) -> None:
    """The process has ended when close returns, and closing again does nothing."""
    child = Child("sqlawait.bench.load")
    assert child.greeting == {"ready": True}
    child.close(force=force)
    child.close()
    assert not psutil.pid_exists(child.pid)
