"""Items and categories, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from httpx2 import AsyncClient

Make = Callable[..., Awaitable[dict[str, Any]]]


async def test_an_item_is_created_read_replaced_and_deleted(client: AsyncClient, make: Make) -> None:
    """PUT replaces everything that a client decides; DELETE removes."""
    item = await make("/items", name="Abacus", price="19.95", description="Ten rods")
    path = f"/items/{item['id']}"
    assert (await client.get(path)).json() == item
    replaced = await client.put(path, json={"name": "Abacus II", "price": "24"})
    assert replaced.json() == item | {"name": "Abacus II", "price": "24.00", "description": ""}
    assert (await client.get(path)).json() == replaced.json()
    assert (await client.delete(path)).status_code == 204
    assert [(await client.get(path)).status_code, (await client.delete(path)).status_code] == [404, 404]


async def test_a_category_shows_its_items(client: AsyncClient, make: Make) -> None:
    """GET of a category gives its items in order, and only its own."""
    category, other = await make("/categories", name="Instruments"), await make("/categories", name="Books")
    items = [await make("/items", name=f"Rule {n}", price=n, category_id=category["id"]) for n in range(3)]
    assert (await client.get(f"/categories/{category['id']}")).json() == category | {"items": items}
    assert (await client.get(f"/categories/{other['id']}")).json() == other | {"items": []}
    assert (await client.get("/categories/999")).status_code == 404


async def test_a_category_is_renamed_and_deleted(client: AsyncClient, make: Make) -> None:
    """PUT renames, to a free name only; an empty category can be deleted."""
    books, tools = await make("/categories", name="Books"), await make("/categories", name="Tools")
    path = f"/categories/{tools['id']}"
    assert (await client.put(path, json={"name": "Books"})).status_code == 409
    assert (await client.put(path, json={"name": "Instruments"})).json()["name"] == "Instruments"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(f"/categories/{books['id']}")).status_code == 200


async def test_a_category_with_items_is_not_deleted(client: AsyncClient, make: Make) -> None:
    """The items keep their category: DELETE answers 409."""
    category = await make("/categories", name="Books")
    await make("/items", name="SICP", price="64.99", category_id=category["id"])
    assert (await client.delete(f"/categories/{category['id']}")).status_code == 409


async def test_an_item_needs_a_category_that_exists(client: AsyncClient) -> None:
    """A category that is not there is a conflict, not an item on no shelf."""
    answer = await client.post("/items", json={"name": "Lost", "price": "1", "category_id": 999})
    assert answer.status_code == 409
    assert (await client.get("/items")).json()["items"] == []


async def test_a_price_is_exact(client: AsyncClient, make: Make) -> None:
    """The smallest and the largest price come back to the cent, on every database."""
    for price in ("0.01", "0.10", "99999999999999.99"):
        item = await make("/items", name="Thing", price=price)
        assert (await client.get(f"/items/{item['id']}")).json()["price"] == price
