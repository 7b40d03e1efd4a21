"""Positions that clients carry: taken back only as they were given, and only for a while."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from sqlawait import ConfigurationError, Database
from sqlawait.fastapi import install
from sqlawait.fastapi.positions import Seal

SECRET = "a secret of more than sixteen"
POSITIONS = st.integers(min_value=0, max_value=2**63 - 1)


@given(POSITIONS)
def test_a_position_comes_back_as_it_was_given(position: int) -> None:
    """In any process that has the secret."""
    assert Seal(SECRET, 60).open(Seal(SECRET, 60).sign(position)) == position


@given(POSITIONS, st.data())
def test_a_changed_token_counts_for_nothing(position: int, data: st.DataObject) -> None:
    """Whatever was changed in it, and wherever."""
    token = Seal(SECRET, 60).sign(position)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda letter: letter != token[at]))
    assert Seal(SECRET, 60).open(token[:at] + other + token[at + 1 :]) is None


@given(st.text())
def test_any_text_is_looked_at_without_an_error(token: str) -> None:
    """A client may send what it likes."""
    assert Seal(SECRET, 60).open(token) is None


def test_a_token_ends_with_its_time_and_with_its_secret() -> None:
    """An old one, and one that another application has signed."""
    assert Seal(SECRET, 60).open(Seal(SECRET, -62).sign(1)) is None
    assert Seal(SECRET, 60).open(Seal(SECRET + "!", 60).sign(1)) is None


@pytest.mark.parametrize(("secret", "remedy"), [(None, "give install"), ("short", "at least 16")])
def test_replicas_need_a_secret(postgresql_url: str, secret: str | None, remedy: str) -> None:
    """Without one, a client that has written could read old rows and nobody would know."""
    with pytest.raises(ConfigurationError, match=remedy):
        install(FastAPI(), Database(postgresql_url, replicas=[postgresql_url]), secret=secret)


def test_a_database_without_replicas_needs_none(sqlite_url: str) -> None:
    """And its requests pass no middleware for it."""
    install(app := FastAPI(), Database(sqlite_url))
    assert "ReadYourWrites" not in {middleware.cls.__name__ for middleware in app.user_middleware}  # type: ignore[attr-defined]
