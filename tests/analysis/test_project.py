"""Which file an import means."""

from __future__ import annotations

from pathlib import Path

from sqlawait.analysis.project import Module, Project


def load(folder: Path, files: dict[str, str]) -> Project:
    """A code base of these files."""
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return Project.load([folder])


def found(project: Project, importer: Path, name: str) -> Module | None:
    """What ``import name`` means in a file."""
    return project.find_module(name, project.modules[importer])


def test_inside_a_package(tmp_path: Path) -> None:
    """A package that is imported by its name does not hide a library behind a folder of the library's name."""
    project = load(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/main.py": "from shop.celery.worker import Worker",
            "shop/celery/__init__.py": "",
            "shop/celery/worker.py": "from kombu import Worker",
            "shop/kombu/__init__.py": "from .other import x",
            "shop/kombu/other.py": "x = 1",
        },
    )
    worker = tmp_path / "shop" / "celery" / "worker.py"
    assert found(project, worker, "kombu") is None
    assert found(project, worker, "shop.kombu") is not None


def test_on_the_path(tmp_path: Path) -> None:
    """A folder that nobody imports as a package is on the path, its ``__init__.py`` notwithstanding."""
    project = load(
        tmp_path,
        {"app/__init__.py": "", "app/main.py": "from models import User", "app/models.py": "class User: ..."},
    )
    assert (
        found(project, tmp_path / "app" / "main.py", "models")
        is project.modules[tmp_path / "app" / "models.py"]
    )
