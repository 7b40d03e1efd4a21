"""What a loop over an object of the code base gives."""

from __future__ import annotations

import ast
from pathlib import Path

from sqlawait.analysis import Analysis

SOURCE = """\
from sqlalchemy.orm import Session

class Sessions:
    def __iter__(self):
        return self
    def __next__(self) -> Session:
        return Session()

class Tags:
    def __iter__(self) -> "Tags":
        return self

for session in Sessions():
    session.commit()
for tag in Tags():
    tag.name
"""


def test_an_iterator_gives_what_its_next_returns(tmp_path: Path) -> None:
    """An object that is its own iterator is asked for ``__next__``; one without it gives nothing known."""
    path = tmp_path / "app.py"
    path.write_text(SOURCE)
    analysis = Analysis.of([path])
    tree = analysis.project.modules[path.resolve()].tree
    named = {
        n.value.id: n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
    }
    assert analysis.is_session(analysis.types.type_of(named["session"]))
    assert not analysis.types.type_of(named["tag"]).known
