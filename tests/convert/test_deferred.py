"""Deferred columns: what is read is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

SOURCE = """
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, column_property, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    portrait = column_property(
        select(func.length("x")).scalar_subquery(),
        deferred=True,
    )
    biography: Mapped[str] = mapped_column(String, deferred=True)
    unread = mapped_column(String, deferred=True)


class UserRead(BaseModel):
    id: int
    {field}


def biography(db: Session, user_id: int) -> str:
    user = db.get(User, user_id)
    return {read}
"""


@pytest.fixture
def converted(convert: Callable[..., Result], tmp_path: Path) -> Callable[..., list[str]]:
    """The lines with ``deferred`` after a conversion."""

    def run(field: str = "name: str", read: str = '""') -> list[str]:
        result = convert({"module.py": SOURCE.format(field=field, read=read)})
        text = result.changes[tmp_path / "module.py"][1]
        return [line.strip() for line in text.splitlines() if "deferred" in line]

    return run


COMPUTED = "deferred=True,"
BIOGRAPHY = "biography: Mapped[str] = mapped_column(String, deferred=True)"
UNREAD = "unread = mapped_column(String, deferred=True)"


def test_what_nobody_reads_stays_deferred(converted: Callable[..., list[str]]) -> None:
    assert converted() == [COMPUTED, BIOGRAPHY, UNREAD]


def test_what_a_response_names_is_loaded_with_its_row(converted: Callable[..., list[str]]) -> None:
    assert converted(field="portrait: int") == ["deferred=False,", BIOGRAPHY, UNREAD]


def test_what_the_code_reads_is_loaded_with_its_row(converted: Callable[..., list[str]]) -> None:
    assert converted(read="user.biography") == [COMPUTED, BIOGRAPHY.replace("True", "False"), UNREAD]


def test_what_is_named_in_a_condition_is_not_read(converted: Callable[..., list[str]]) -> None:
    assert converted(read="db.query(User).filter(User.unread == 'x').one().id") == [
        COMPUTED,
        BIOGRAPHY,
        UNREAD,
    ]
