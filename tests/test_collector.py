"""The garbage collector while an application serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from sqlawait import Database
from sqlawait.collector import rare_collections
from sqlawait.fastapi import install


@pytest.fixture(autouse=True)
def threshold() -> Iterator[tuple[int, int, int]]:
    """What was set before the test, and is again after it."""
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


@pytest.mark.parametrize("way", ["install", "lifespan"])
async def test_an_application_that_serves_is_collected_less_often(
    way: str, sqlite_url: str, threshold: tuple[int, int, int]
) -> None:
    db = Database(sqlite_url)
    app = FastAPI(lifespan=db.lifespan if way == "lifespan" else None)
    if way == "install":
        install(app, db)
    frozen = gc.get_freeze_count()
    async with app.router.lifespan_context(app):
        assert gc.get_threshold() == (10_000, *threshold[1:])
        assert gc.get_freeze_count() > frozen + 10_000  # the modules that are loaded, above all
    assert (gc.get_threshold(), gc.get_freeze_count()) == (threshold, 0)


def test_the_last_of_several_applications_sets_it_back(threshold: tuple[int, int, int]) -> None:
    first, second = rare_collections(), rare_collections()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == 10_000
    assert gc.get_freeze_count()
    second.__exit__(None, None, None)
    assert (gc.get_threshold(), gc.get_freeze_count()) == (threshold, 0)


@pytest.mark.parametrize("chosen", [0, 500, 50_000])
def test_a_threshold_that_the_program_has_chosen_stays(chosen: int) -> None:
    gc.set_threshold(chosen, 10, 10)
    with rare_collections():
        assert gc.get_threshold()[0] == chosen
    assert gc.get_threshold()[0] == chosen


def test_one_that_is_chosen_meanwhile_stays_too() -> None:
    with rare_collections():
        gc.set_threshold(3_000, 10, 10)
    assert gc.get_threshold()[0] == 3_000


def test_cycles_that_are_made_while_it_serves_are_found() -> None:
    with rare_collections():
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() > 0
