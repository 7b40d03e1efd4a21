"""Documents, found by their vectors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

Make = Callable[..., Awaitable[dict[str, Any]]]
TEXTS = {
    "gcd": "Greatest common divisor of integers.",
    "shuffle": "Shuffle a list in place.",
    "gunzip": "Decompress a file that was compressed with gzip.",
}


def direction(*places: int) -> list[float]:
    """A vector that points along some of its axes."""
    return [1.0 if place in places else 0.0 for place in range(384)]


async def search(client: AsyncClient, **body: Any) -> list[tuple[str, float]]:
    answer = await client.post("/documents/search", json=body)
    assert answer.status_code == 200, answer.text
    return [(found["document"]["title"], found["distance"]) for found in answer.json()]


@pytest.fixture
async def searchable(app: FastAPI) -> None:
    """The databases that can search vectors."""
    if app.state.sqlawait.dialect == "mysql":
        pytest.skip("MySQL stores vectors and cannot search them")


async def test_a_document_is_stored_read_and_deleted(client: AsyncClient, make: Make) -> None:
    """On every database, whether it can search or not."""
    made = await make("/documents", title="gcd", text=TEXTS["gcd"])
    path = f"/documents/{made['id']}"
    assert (await client.get(path)).json() == made
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


@pytest.mark.usefixtures("searchable")
async def test_a_text_finds_the_document_that_is_about_it(client: AsyncClient, make: Make) -> None:
    """The nearest first, with its distance, and k of them at most."""
    for title, text in TEXTS.items():
        await make("/documents", title=title, text=text)
    (title, near), (_, far) = await search(client, text="common divisor", k=2)
    assert title == "gcd"
    assert 0 <= near < far


@pytest.mark.usefixtures("searchable")
async def test_a_vector_finds_its_neighbours_in_order(client: AsyncClient, make: Make) -> None:
    """The distance is one minus the cosine, as exact as 32-bit floats are."""
    for title, vector in ("same", [0]), ("near", [0, 1]), ("across", [2]):
        await make("/documents", title=title, text="", embedding=direction(*vector))
    found = await search(client, embedding=direction(0))
    assert [title for title, _ in found] == ["same", "near", "across"]
    assert [distance for _, distance in found] == pytest.approx([0, 1 - 2**-0.5, 1], abs=1e-6)


async def test_without_an_embedder_a_text_is_refused_and_a_vector_taken(
    app: FastAPI, client: AsyncClient, make: Make
) -> None:
    """The answer says what to send instead."""
    app.state.embedder = None
    answer = await client.post("/documents", json={"title": "T", "text": "x"})
    assert answer.status_code == 422
    assert "embedding" in answer.json()["detail"]
    await make("/documents", title="T", text="x", embedding=direction(7))


async def test_mysql_says_that_it_cannot_search(app: FastAPI, client: AsyncClient) -> None:
    """A clear refusal that names the remedy, and no error of the unknown kind."""
    if app.state.sqlawait.dialect != "mysql":
        pytest.skip("this database can")
    answer = await client.post("/documents/search", json={"text": "anything"})
    assert answer.status_code == 501
    assert "PostgreSQL" in answer.json()["detail"]
