"""The rules' pages are what the rules declare."""

from __future__ import annotations

from pathlib import Path

from sqlawait.check.docs import pages

FOLDER = Path(__file__).parents[2] / "docs" / "rules"


def test_every_page_is_what_its_rule_declares() -> None:
    """No page is missing, out of date, or left over from a rule that is gone."""
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert written == pages(), "run: python -m sqlawait.check.docs docs/rules"
