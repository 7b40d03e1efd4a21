"""The requests that the clients send."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from sqlawait.bench.workloads import WORKLOADS, requests


def take(workload: str, count: int, *, users: int = 500, seed: str = "s") -> list[bytes]:
    return list(itertools.islice(requests(workload, users=users, seed=seed), count))


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_seed_gives_the_same_requests_again(workload: str) -> None:
    """Every app is asked the same."""
    assert take(workload, 50) == take(workload, 50)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_requests_are_whole_http(workload: str) -> None:
    """Each request has a head, and a body of exactly the length that the head states."""
    for request in take(workload, 50):
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")]
        assert len(body) == int(lengths[0].split(b":")[1]) if lengths else not body


def test_ids_are_those_of_the_data_set() -> None:
    """No request asks for a user that is not there, and every user is asked for."""
    asked = {int(request.split()[1].split(b"/")[2]) for request in take("one", 500, users=10)}
    assert asked == set(range(1, 11))


def test_lists_are_always_full() -> None:
    """A list never begins so late that fewer than a hundred rows are left."""
    starts = [int(request.split()[1].partition(b"=")[2]) for request in take("list", 500, users=150)]
    assert 0 <= min(starts) <= max(starts) <= 50


def test_new_users_never_collide() -> None:
    """Addresses are unique within a stream and between two."""
    bodies = [
        json.loads(one.partition(b"\r\n\r\n")[2]) for seed in "ab" for one in take("insert", 99, seed=seed)
    ]
    assert len({body["email"] for body in bodies}) == 198


def test_the_mixture_is_as_stated() -> None:
    """The parts come in about the shares that the title states."""
    kinds = Counter(
        "insert"
        if request.startswith(b"POST")
        else "update"
        if request.startswith(b"PATCH")
        else "nested"
        if b"/posts " in request
        else "list"
        if b"?after" in request
        else "one"
        for request in take("mixed", 10_000)
    )
    for share, name in WORKLOADS["mixed"].parts:
        assert kinds[name] / 100 == pytest.approx(share, abs=2), name
