"""After each test: nothing is left for the garbage collector to warn of."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """A connection that was not given back warns when it is collected, and a warning is an error."""
    yield
    gc.collect()
