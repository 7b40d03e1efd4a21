"""What no database can hold, or no client should send, answers 4xx: never 5xx, never 2xx."""

from __future__ import annotations

import json
from typing import Any

from httpx2 import AsyncClient, Response

EMAIL, NAME = "ada@example.com", "Ada"
DEEP = "[" * 100_000

BODIES: list[tuple[str, Any]] = [
    ("/users", {"email": EMAIL, "name": "A\x00da"}),
    ("/users", {"email": "a\x00da@example.com", "name": NAME}),
    ("/users", b'{"email": "ada@example.com", "name": "\\ud800"}'),
    ("/users", b'{"email": "ada@example.com", "name": "\\udfff\\ud800"}'),
    ("/users", b'{"email": "ada@example.com", "\\ud800": 1, "name": "Ada"}'),
    ("/users", {"email": EMAIL, "name": NAME, "id": 1}),
    ("/users", {"email": EMAIL, "name": NAME, "metadata": {}}),
    ("/users", {"email": EMAIL, "name": NAME, "_sa_instance_state": {}}),
    ("/users", {"email": EMAIL, "name": "A" * 101}),
    ("/users", {"email": EMAIL, "name": ""}),
    ("/users", {"email": EMAIL, "name": None}),
    ("/users", {"email": EMAIL, "name": {"$ne": 1}}),
    ("/users", {"email": "a" * 300 + "@example.com", "name": NAME}),
    ("/users", {"email": "no address", "name": NAME}),
    ("/users", b""),
    ("/users", b"null"),
    ("/users", b"\xff\xfe"),
    ("/users", b'{"email": "ada@example.com", "name": "\xff"}'),
    ("/users", DEEP.encode()),
    ("/items", {"name": "X", "price": "NaN"}),
    ("/items", {"name": "X", "price": "Infinity"}),
    ("/items", b'{"name": "X", "price": NaN}'),
    ("/items", b'{"name": "X", "price": -Infinity}'),
    ("/items", b'{"name": "X", "price": 1e400}'),
    ("/items", {"name": "X", "price": "1e1000000"}),
    ("/items", {"name": "X", "price": "-0.01"}),
    ("/items", {"name": "X", "price": "0.001"}),
    ("/items", {"name": "X", "price": "1000000000000000.00"}),
    ("/items", b'{"name": "X", "price": ' + b"9" * 5_000 + b"}"),
    ("/items", {"name": "X", "price": "1", "category_id": 2**63}),
    ("/items", {"name": "X", "price": "1", "category_id": -(2**63) - 1}),
    ("/items", {"name": "X", "price": "1", "category_id": 10**400}),
    ("/items", {"name": "X", "price": "1", "category_id": 0}),
    ("/items", {"name": "X", "price": "1", "category_id": 1.5}),
    ("/items", {"name": "X", "price": "1", "description": "x" * 10_001}),
    ("/accounts", {"user_id": 2**63, "balance": "1"}),
    ("/accounts", {"user_id": 1, "balance": "-1"}),
    ("/transfers", {"source_id": 2**63, "target_id": 1, "amount": "1"}),
    ("/documents", {"title": "T", "text": "x", "embedding": [0.1]}),
    ("/documents", {"title": "T", "text": "\x00"}),
    ("/documents", b'{"title": "T", "text": "x", "embedding": [' + b"NaN," * 383 + b"1]}"),
    ("/documents/search", {"text": "x", "k": 0}),
    ("/documents/search", {"text": "x", "k": -1}),
    ("/documents/search", {"text": "x", "k": 101}),
    ("/documents/search", {"embedding": [0.0] * 383}),
    ("/documents/search", {"embedding": [1e308] * 384}),
    ("/documents/search", {"text": "x", "embedding": [0.0] * 384}),
    ("/documents/search", {}),
]
POSTS = [
    {"title": "T", "published_at": "2026-01-01T00:00:00"},
    {"title": "T", "published_at": "0001-01-01T00:00:00+14:00"},
    {"title": "T", "published_at": "9999-12-31T23:59:59-14:00"},
    {"title": "T", "published_at": 1e300},
    {"title": "T", "published_at": "infinity"},
    {"title": "T\x00"},
    {"title": "T", "user_id": 1},
]
ADDRESSES = [
    f"/users/{2**63}",
    f"/users/{-(2**63) - 1}",
    "/users/" + "9" * 5_000,
    "/users/0",
    "/users/-1",
    "/users/%00",
    "/users/1%00",
    "/users/1.0e3",
    f"/items/{2**64}",
    "/users?limit=-1",
    "/users?limit=0",
    "/users?limit=101",
    "/users?limit=x",
    f"/users?limit={2**63}",
    "/users?offset=-1",
    f"/users?offset={2**63}",
    "/users?cursor=%00",
    "/users?cursor=AAAA",
    "/users?cursor=%ED%A0%80",
    "/users?sort=password",
    "/users?sort=name%3Bdrop",
    "/users?sort=__class__",
    "/users?name=%00",
    "/users?unknown_filter=1",
    f"/accounts/1/ledger?limit={10**30}",
]


async def test_a_hostile_body_is_refused(client: AsyncClient) -> None:
    """The answer is a problem with a 4xx status, whatever is in the body."""
    wrong = {}
    for path, body in BODIES:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.post(path, content=content, headers={"content-type": "application/json"})
        if not is_refusal(answer):
            wrong[path, content[:100]] = answer.status_code, answer.text
    assert not wrong


async def test_a_hostile_post_is_refused(client: AsyncClient, user: dict[str, Any]) -> None:
    """A time that is naive, or leaves the calendar in UTC, is refused, and so is a field too many."""
    answers = [await client.post(f"/users/{user['id']}/posts", json=post) for post in POSTS]
    assert [answer.status_code for answer in answers] == [422] * len(POSTS)


async def test_a_hostile_address_is_refused(client: AsyncClient) -> None:
    """An id that no column holds, a limit out of bounds, a sort or filter that is not offered: 4xx."""
    answers = {path: await client.get(path) for path in ADDRESSES}
    assert not {path: answer.text for path, answer in answers.items() if not is_refusal(answer)}


async def test_a_body_too_large_is_refused(client: AsyncClient) -> None:
    """Two megabytes are not read to the end, with a length given or in chunks."""
    big = b'{"title": "T", "text": "' + b"x" * 2_000_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    for content in big, chunks():
        answer = await client.post("/documents", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 413


async def test_a_problem_tells_nothing_of_the_inside(client: AsyncClient, user: dict[str, Any]) -> None:
    """A conflict names no table, no constraint, no statement and no other client's value."""
    answer = await client.post("/users", json={"email": user["email"], "name": "Impostor"})
    assert answer.status_code == 409
    for secret in ("INSERT", "uq_users", "users.email", "sqlalchemy", "Traceback", user["email"]):
        assert secret.lower() not in answer.text.lower()


def is_refusal(answer: Response) -> bool:
    """Whether it is the client's error, told as a problem."""
    return 400 <= answer.status_code < 500 and answer.headers["content-type"] == "application/problem+json"
