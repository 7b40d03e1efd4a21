"""Users and their posts, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from httpx2 import AsyncClient

Make = Callable[..., Awaitable[dict[str, Any]]]
User = dict[str, Any]


async def test_a_created_user_is_read_back(client: AsyncClient, user: User) -> None:
    """What POST answers, GET answers, with an id and an aware time."""
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert datetime.fromisoformat(user["created_at"]).utcoffset() == timedelta(0)


async def test_an_email_belongs_to_one_user(client: AsyncClient, user: User) -> None:
    """The second user of an email is a conflict, in whatever case it is written, and nothing is stored."""
    answer = await client.post("/users", json={"email": "ADA@example.com", "name": "Impostor"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert len((await client.get("/users")).json()["items"]) == 1


async def test_a_patch_changes_what_it_names(client: AsyncClient, user: User) -> None:
    """PATCH leaves the rest as it was, and an empty one changes nothing."""
    path = f"/users/{user['id']}"
    assert (await client.patch(path, json={"name": "Ada Lovelace"})).json() == user | {"name": "Ada Lovelace"}
    assert (await client.patch(path, json={})).json() == user | {"name": "Ada Lovelace"}


async def test_a_patch_to_a_taken_email_is_a_conflict(client: AsyncClient, user: User, make: Make) -> None:
    """A unique email stays unique under PATCH."""
    other = await make("/users", email="alan@example.com", name="Alan")
    answer = await client.patch(f"/users/{other['id']}", json={"email": user["email"]})
    assert answer.status_code == 409
    assert (await client.get(f"/users/{other['id']}")).json() == other


async def test_a_patch_refuses_what_a_user_does_not_decide(client: AsyncClient, user: User) -> None:
    """Ids, internals and nulls are refused with 422, and change nothing."""
    path = f"/users/{user['id']}"
    for body in (
        {"id": 7},
        {"metadata": {}},
        {"_sa_instance_state": 1},
        {"created_at": "2020-01-01"},
        {"name": None},
    ):
        assert (await client.patch(path, json=body)).status_code == 422
    assert (await client.get(path)).json() == user


async def test_a_deleted_user_is_gone_with_the_posts(client: AsyncClient, user: User, make: Make) -> None:
    """DELETE answers 204, and takes the posts along."""
    await make(f"/users/{user['id']}/posts", title="Notes")
    assert (await client.delete(f"/users/{user['id']}")).status_code == 204
    assert (await client.get(f"/users/{user['id']}")).status_code == 404
    assert (await client.get(f"/users/{user['id']}/posts")).status_code == 404


async def test_a_user_with_money_is_not_deleted(client: AsyncClient, user: User, make: Make) -> None:
    """An account keeps its user: DELETE answers 409."""
    await make("/accounts", user_id=user["id"], balance="1.00")
    assert (await client.delete(f"/users/{user['id']}")).status_code == 409
    assert (await client.get(f"/users/{user['id']}")).status_code == 200


async def test_an_unknown_user_is_not_found(client: AsyncClient) -> None:
    """Every route of a user that does not exist answers 404 as a problem."""
    answers = [
        await client.get("/users/999"),
        await client.patch("/users/999", json={"name": "Nobody"}),
        await client.delete("/users/999"),
        await client.get("/users/999/posts"),
        await client.post("/users/999/posts", json={"title": "Nothing"}),
        await client.get("/users/999/combined"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 6
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


async def test_combined_is_the_user_with_the_posts(client: AsyncClient, user: User, make: Make) -> None:
    """One request gives the user and the posts in order; a user without posts has an empty list."""
    path = f"/users/{user['id']}/combined"
    assert (await client.get(path)).json() == user | {"posts": []}
    posts = [await make(f"/users/{user['id']}/posts", title=f"Note {n}") for n in range(3)]
    assert (await client.get(path)).json() == user | {"posts": posts}


async def test_a_post_keeps_its_instant(client: AsyncClient, user: User, make: Make) -> None:
    """A time with an offset comes back as the same instant, to the microsecond."""
    given = "2026-03-29T02:30:00.123456+02:00"
    post = await make(f"/users/{user['id']}/posts", title="Spring", published_at=given)
    listed = (await client.get(f"/users/{user['id']}/posts")).json()
    listed = listed["items"] if isinstance(listed, dict) else listed
    assert [datetime.fromisoformat(each["published_at"]) for each in (post, *listed)] == [
        datetime.fromisoformat(given)
    ] * 2


async def test_names_keep_every_letter(client: AsyncClient, make: Make) -> None:
    """Names outside ASCII and outside the basic plane are stored as given."""
    name = "Zoë 張 \N{MATHEMATICAL FRAKTUR CAPITAL A} \N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}"
    user = await make("/users", email="zoe@example.com", name=name)
    assert (await client.get(f"/users/{user['id']}")).json()["name"] == name
