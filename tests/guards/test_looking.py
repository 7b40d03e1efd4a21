"""Another thread's stack is read in one step: nothing else may happen in between."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator

import pytest

from sqlawait.guards import looking
from sqlawait.guards.sites import site_of


@pytest.fixture
def collected_in() -> Iterator[list[str]]:
    """The garbage collector strikes as often as it can; gives the functions that it struck in."""
    struck: list[str] = []

    def strikes(phase: str, _: object) -> None:
        if phase == "start":
            struck.append(sys._getframe(1).f_code.co_name)

    before = gc.get_threshold()
    gc.callbacks.append(strikes)
    gc.set_threshold(1)
    yield struck
    gc.set_threshold(*before)
    gc.callbacks.remove(strikes)


def test_the_lines_of_another_thread() -> None:
    """Innermost first, as they are at that moment."""
    at_work, go_on = threading.Event(), threading.Event()

    def inner() -> None:
        at_work.set()
        go_on.wait()

    def outer() -> None:
        inner()

    thread = threading.Thread(target=outer)
    thread.start()
    at_work.wait()
    assert thread.ident is not None
    sites = [site_of(*line) for _, line in looking.look(thread.ident)]
    go_on.set()
    thread.join()
    first = outer.__code__.co_firstlineno
    assert [site.function for site in sites if "wait" not in site.function][:3] == ["inner", "outer", "run"]
    assert [site.line for site in sites if site.function == "outer"] == [first + 1]


def test_nothing_is_collected_while_the_stack_is_read(collected_in: list[str]) -> None:
    """A collection may let another thread go on while its frame is made into an object."""

    def deep(levels: int) -> object:
        return deep(levels - 1) if levels else looking.look(threading.get_ident())

    for _ in range(50):
        deep(20)
    assert "look" not in collected_in
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    """It is left as it was found."""
    gc.disable()
    try:
        looking.look(threading.get_ident())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_thread_that_has_ended_has_no_stack() -> None:
    """It may end between two looks."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert thread.ident is not None
    assert looking.look(thread.ident) == []
