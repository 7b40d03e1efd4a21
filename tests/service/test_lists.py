"""Lists: pages, filters and sorts, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import AsyncClient

Make = Callable[..., Awaitable[dict[str, Any]]]
Users = list[dict[str, Any]]
NAMES = ["Ada", "Alan", "Barbara", "Edsger", "Grace", "100%", "a_b", "Ada"]


@pytest.fixture
async def users(make: Make) -> Users:
    """Eight users, two of one name."""
    return [await make("/users", email=f"user{n}@example.com", name=name) for n, name in enumerate(NAMES)]


async def get(client: AsyncClient, address: str) -> dict[str, Any]:
    answer = await client.get(address)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def names(client: AsyncClient, **query: str) -> list[str]:
    return [user["name"] for user in (await get(client, f"/users?{urlencode(query)}"))["items"]]


async def test_pages_hold_every_row_once_in_both_directions(client: AsyncClient, users: Users) -> None:
    """Forward by ``next`` and back by ``previous``, ties in the sort included."""
    page = await get(client, "/users?sort=name&limit=3")
    pages = [page["items"]]
    while page["next"]:
        page = await get(client, f"/users?sort=name&limit=3&cursor={page['next']}")
        pages.append(page["items"])
    assert [len(items) for items in pages] == [3, 3, 2]
    assert sorted(user["id"] for items in pages for user in items) == [user["id"] for user in users]
    back = await get(client, f"/users?sort=name&limit=3&cursor={page['previous']}")
    assert back["items"] == pages[1]


async def test_a_row_that_comes_between_moves_no_other(client: AsyncClient, users: Users, make: Make) -> None:
    """A page starts where the last one ended, whatever was inserted before it."""
    first = await get(client, "/users?sort=name&limit=4")
    await make("/users", email="new@example.com", name="0")
    rest = await get(client, f"/users?sort=name&limit=100&cursor={first['next']}")
    seen = [user["id"] for user in first["items"] + rest["items"]]
    assert sorted(seen) == [user["id"] for user in users]


async def test_filters_mean_what_they_say(client: AsyncClient, users: Users) -> None:
    """Equality, containing, at least and below; a percent sign and an underscore are letters."""
    assert await names(client, email="user1@example.com") == ["Alan"]
    assert await names(client, name="Ada") == ["Ada", "Ada"]
    assert await names(client, name__contains="%") == ["100%"]
    assert await names(client, name__contains="_") == ["a_b"]
    middle = users[3]["created_at"]
    assert len(await names(client, created_at__ge=middle)) == 5
    assert len(await names(client, created_at__lt=middle)) == 3


async def test_sorts_go_both_ways(client: AsyncClient, users: Users) -> None:
    """A minus is descending."""
    ascending = await names(client, sort="email")
    assert ascending == [user["name"] for user in users]
    assert await names(client, sort="-email") == ascending[::-1]


async def test_items_are_paged_by_price(client: AsyncClient, make: Make) -> None:
    """A price is compared as an amount, not as text, and to the cent, on every page."""
    for price in ("10.00", "9.99", "100.00", "9.98", "10.01"):
        await make("/items", name="Thing", price=price)
    page = await get(client, "/items?sort=price&limit=2")
    seen = page["items"]
    while page["next"]:
        page = await get(client, f"/items?sort=price&limit=2&cursor={page['next']}")
        seen += page["items"]
    assert [item["price"] for item in seen] == ["9.98", "9.99", "10.00", "10.01", "100.00"]
    between = await get(client, "/items?price__ge=9.99&price__le=10.00&sort=-price")
    assert [item["price"] for item in between["items"]] == ["10.00", "9.99"]


async def test_a_ledger_is_paged_by_offset(client: AsyncClient, make: Make) -> None:
    """A page by its number, with the total where it is asked for."""
    user = await make("/users", email="ada@example.com", name="Ada")
    a, b = [(await make("/accounts", user_id=user["id"], balance="100"))["id"] for _ in range(2)]
    for _ in range(4):
        await make("/transfers", source_id=a, target_id=b, amount="1.00")
    page = await get(client, f"/accounts/{a}/ledger?offset=3&limit=2&total=true")
    assert [entry["balance"] for entry in page["items"]] == ["97.00", "96.00"]
    assert (page["total"], page["more"]) == (5, False)


async def test_what_is_not_offered_is_refused_with_what_is(client: AsyncClient) -> None:
    """An unknown sort or filter is a 422, and OpenAPI lists those that are known."""
    for query in "sort=password", "password=x", "name__regex=x", "limit=101", "cursor=garbage":
        assert (await client.get(f"/users?{query}")).status_code == 422, query
    document = (await client.get("/openapi.json")).json()
    parameters = {each["name"]: each for each in document["paths"]["/users"]["get"]["parameters"]}
    assert parameters.keys() >= {"email", "name", "name__contains", "created_at__ge", "sort", "limit", "cursor"}
    assert set(parameters["sort"]["schema"]["items"]["enum"]) >= {"name", "-name"}
