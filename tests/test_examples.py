"""The examples run, and the README shows them as they are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
DOCS = [path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md")]


async def test_the_shop_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pasted and served, it stores, reads, refuses a duplicate and misses what is not there."""
    monkeypatch.chdir(tmp_path)
    app = runpy.run_path(str(ROOT / "examples" / "shop.py"))["app"]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        created = await client.post("/items", json={"name": "bed", "price": "99.90"})
        assert created.status_code == 201
        assert (await client.get(f"/items/{created.json()['id']}")).json() == created.json()
        assert (await client.post("/items", json={"name": "bed", "price": "1"})).status_code == 409
        assert (await client.get("/items/99")).status_code == 404


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", *sorted(map(str, DOCS))])
def test_links_lead_somewhere(page: str) -> None:
    """A link to a file of the project names a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", (ROOT / page).read_text())
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert not missing


def test_the_readme_shows_the_shop_as_it_is() -> None:
    """What a reader pastes is what is tested."""
    example = (ROOT / "examples" / "shop.py").read_text()
    assert example in (ROOT / "README.md").read_text()
