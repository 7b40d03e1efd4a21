"""Which calls run a function's body on the loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlawait.analysis import Analysis

HEAD = """\
import asyncio
import time
import boto3

def lines():
    time.sleep(1)
    yield "x"

class Tunnel:
    def __enter__(self):
        time.sleep(1)
    def __exit__(self, *exc):
        pass
    async def __aenter__(self):
        await asyncio.sleep(1)
    async def __aexit__(self, *exc):
        pass

class Store:
    def read(self):
        time.sleep(1)

class AsyncStore(Store):
    async def read(self):
        await asyncio.sleep(1)

def signed():
    return boto3.client("s3").generate_presigned_url("get_object")

def uploaded():
    return boto3.client("s3").upload_file("a", "b", "c")

"""


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        ("return lines()", False),
        ("return [line for line in lines()]", True),
        ("for line in lines():\n        pass", True),
        ("return list(lines())", True),
        ("async with Tunnel():\n        pass", False),
        ("with Tunnel():\n        pass", True),
        ("if isinstance(store, AsyncStore):\n        await store.read()", False),
        ("store.read()", True),
        ("return signed()", False),
        ("return uploaded()", True),
    ],
)
def test_a_body_counts_where_it_is_run(body: str, blocks: bool, tmp_path: Path) -> None:
    """A generator runs when it is gone through, a context manager when it is entered, a method when called."""
    (tmp_path / "app.py").write_text(f"{HEAD}async def go(store: Store):\n    {body}\n")
    analysis = Analysis.of([tmp_path])
    (go,) = [each for each in analysis.project.functions if each.name == "go"]
    found = [e for edge in analysis.calls.edges(go) for e in analysis.colours.effects(edge.target)]
    assert ("blocking" in found) is blocks
