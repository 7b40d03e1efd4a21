"""What the clients ask for. Pure: a workload and a seed give the same requests every time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PAGE = 100
"""Rows in the list."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of request, or a mixture."""

    name: str
    title: str
    parts: tuple[tuple[int, str], ...] = ()
    """For a mixture: how many in a hundred, and of what."""


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("one", "one row"),
        Workload("nested", "a user with ten posts"),
        Workload("list", "a list of 100 rows"),
        Workload("insert", "insert a row"),
        Workload("update", "update a row"),
        Workload(
            "mixed",
            "a mixture: 60 % one row, 15 % nested, 10 % list, 10 % insert, 5 % update",
            ((60, "one"), (15, "nested"), (10, "list"), (10, "insert"), (5, "update")),
        ),
        Workload("nothing", "a route without a database"),
    )
}


def requests(workload: str, *, users: int, seed: str) -> Iterator[bytes]:
    """The endless stream of requests of a workload, as HTTP/1.1 bytes.

    Parameters:
        workload: a name of :data:`WORKLOADS`.
        users: how many users the data set has; their ids are 1 to this.
        seed: makes the stream; also part of each new user's address, so that two streams never collide.
    """
    dice = random.Random(seed)
    makers = {
        "one": _choices(dice, [_get(f"/users/{user}") for user in range(1, users + 1)]),
        "nested": _choices(dice, [_get(f"/users/{user}/posts") for user in range(1, users + 1)]),
        "list": _choices(dice, [_get(f"/users?after={after}") for after in range(max(1, users - PAGE + 1))]),
        "insert": _inserts(seed),
        "update": _updates(dice, users),
        "nothing": _choices(dice, [_get("/nothing")]),
    }
    parts = WORKLOADS[workload].parts
    if not parts:
        make = makers[workload]
        while True:
            yield make()
    mixture = [makers[name] for share, name in parts for _ in range(share)]
    while True:
        yield dice.choice(mixture)()


def _choices(dice: random.Random, ready: list[bytes]) -> Callable[[], bytes]:
    return lambda: ready[int(dice.random() * len(ready))]


def _inserts(seed: str) -> Callable[[], bytes]:
    numbers = iter(range(1 << 62))

    def make() -> bytes:
        number = next(numbers)
        return _send("POST", "/users", {"name": f"Newcomer {number}", "email": f"{seed}.{number}@example.com"})

    return make


def _updates(dice: random.Random, users: int) -> Callable[[], bytes]:
    def make() -> bytes:
        user = dice.randint(1, users)
        return _send("PATCH", f"/users/{user}", {"name": f"Renamed {dice.randint(0, 10**9)}"})

    return make


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\r\n".encode()


def _send(method: str, path: str, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


__all__ = ["PAGE", "WORKLOADS", "Workload", "requests"]
