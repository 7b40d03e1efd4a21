"""Sessions under another name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sqlawait.analysis import Analysis

NEW_TYPE = """\
from typing import NewType
from sqlalchemy.ext.asyncio import AsyncSession as Plain

ReadSession = NewType("ReadSession", Plain)
Session = NewType("Session", ReadSession)

async def read(session: Session):
    await session.commit()
"""
CONTEXT = """\
from dataclasses import dataclass
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry.types import Info

@dataclass
class Context:
    session: AsyncSession

async def read(info: Info[Context, None]):
    await info.context.session.commit()
"""


@pytest.mark.parametrize("source", [NEW_TYPE, CONTEXT], ids=["NewType", "strawberry's Info"])
def test_a_wrapped_session_is_a_session(source: str, tmp_path: Path) -> None:
    """A NewType of a session, and one in the context of GraphQL, have the session's type."""
    path = tmp_path / "app.py"
    path.write_text(source)
    analysis = Analysis.of([path])
    module = analysis.project.modules[path.resolve()]
    (call,) = [n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute) and n.attr == "commit"]
    assert analysis.is_session(analysis.types.type_of(call.value), kind="async")
