"""Types that only a type checker knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlawait.analysis import Analysis, pyrefly

OPEN = """\
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

sessions = dict(main=Session(create_engine("sqlite://")))


async def save() -> None:
    sessions["main"].commit()
"""


def test_pyrefly_is_asked_for_what_the_inference_leaves_open(tmp_path: Path) -> None:
    """An object whose type is open gets the one that pyrefly reveals, and its calls are known."""
    (tmp_path / "app.py").write_text(OPEN, encoding="utf-8")
    analysis = Analysis.of([tmp_path])
    (node,) = pyrefly.open_receivers(analysis.types)
    assert not analysis.is_session(analysis.types.type_of(node))
    completed = analysis.completed()
    assert completed.is_session(completed.types.type_of(node), kind="sync")
    assert completed.notice == ""


def test_without_pyrefly_the_inference_stands_alone_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The analysis goes on, with a notice of what would make it better."""
    (tmp_path / "app.py").write_text(OPEN, encoding="utf-8")
    monkeypatch.setattr(pyrefly, "is_installed", lambda: False)
    analysis = Analysis.of([tmp_path])
    assert analysis.completed() is analysis
    assert "pip install 'sqlawait[check]'" in analysis.notice
