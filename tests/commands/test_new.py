"""``sqlawait new``: a project that stands on its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlawait.commands.new import new
from sqlawait.exceptions import ConfigurationError

TAG = """

class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project."""
    folder = tmp_path_factory.mktemp("new")
    assert "cd " in new("shop", folder)
    return folder / "shop"


def run(project: Path, *arguments: str, **environment: str) -> str:
    """Run Python in a project, as its reader would."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_its_own_tests_pass(shop: Path) -> None:
    """All of them, against its own package."""
    assert re.search(r"^\d+ passed", run(shop, "-m", "pytest", "-q", "-p", "no:cacheprovider"), re.MULTILINE)


def test_it_migrates_and_serves(shop: Path, sqlite_url: str) -> None:
    """Its migrations are its own, and its application answers."""
    assert "0001" in run(shop, "-m", "sqlawait", "db", "upgrade", DATABASE_URL=sqlite_url) + run(
        shop, "-m", "sqlawait", "db", "current", DATABASE_URL=sqlite_url
    )
    script = """
from fastapi.testclient import TestClient
import shop, shop.main
with TestClient(shop.main.app) as client:
    print(client.get("/users").json(), client.get("/docs").status_code)
"""
    assert "'items': []" in run(shop, "-c", script, DATABASE_URL=sqlite_url)


def test_nothing_of_it_points_back_at_the_service(shop: Path) -> None:
    """It imports the library and itself, and names its database after itself."""
    kinds = {".py", ".mako", ".ini", ".md"}
    text = "".join(path.read_text() for path in shop.rglob("*.*") if path.suffix in kinds)
    assert "sqlawait.service" not in text
    assert "sqlawait.db" not in text
    assert "sqlite:///shop.db" in text


def test_a_model_that_grew_gives_a_migration(shop: Path, tmp_path: Path) -> None:
    """``db revision`` writes what the models have and the database has not."""
    url = f"sqlite:///{tmp_path / 'grown.db'}"
    models = shop / "shop" / "models.py"
    before = models.read_text()
    try:
        models.write_text(before + TAG)
        run(shop, "-m", "sqlawait", "db", "upgrade", DATABASE_URL=url)
        run(shop, "-m", "sqlawait", "db", "revision", "-m", "add tags", DATABASE_URL=url)
        (written,) = (shop / "shop" / "migrations" / "versions").glob("*add_tags.py")
        assert "create_table('tags'" in written.read_text().replace('"', "'").replace("\n    ", "")
        run(shop, "-m", "sqlawait", "db", "upgrade", DATABASE_URL=url)
        written.unlink()
    finally:
        models.write_text(before)


@pytest.mark.parametrize("name", ["my-shop", "class", "json", "sqlawait", "1st", ""])
def test_a_name_that_can_be_no_package_is_refused(name: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigurationError, match="identifier"):
        new(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    """Nobody's work is overwritten."""
    (tmp_path / "shop").mkdir()
    with pytest.raises(ConfigurationError, match="exists"):
        new("shop", tmp_path)
