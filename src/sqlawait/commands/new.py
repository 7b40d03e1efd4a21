"""``sqlawait new``: the reference service, copied as the start of a project."""

from __future__ import annotations

import keyword
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from sqlawait.exceptions import ConfigurationError

SERVICE = "sqlawait.service"
TITLE = 'title="sqlawait"'
NEXT = """\
{target} is ready. Next:
  cd {target}
  pip install -e '.[dev]'
  pytest
  sqlawait db upgrade
  uvicorn {name}.main:app"""
TAKEN = {"sqlawait", "tests", "test", *sys.stdlib_module_names}


def new(name: str, folder: Path = Path()) -> str:
    """Write a project.

    Args:
        name: The project's name: its folder's and its package's.
        folder: Where the project's folder is made.

    Returns:
        What to type next.

    Raises:
        ConfigurationError: The name can't be a package's, or the folder exists.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name in TAKEN:
        raise ConfigurationError(
            f"{name!r} can't be the name of a package; take a free Python identifier, as in: shop"
        )
    target = folder / name
    if target.exists():
        raise ConfigurationError(f"{target} exists; take another name, or another folder with --in")
    _copy(files(SERVICE), target / name, name)
    _render(files("sqlawait.commands") / "project", target, name)
    return NEXT.format(target=target, name=name)


def _copy(source: Traversable, target: Path, name: str) -> None:
    """Copy the service's files with the import paths changed."""
    target.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            _copy(entry, target / entry.name, name)
        elif entry.name.endswith((".py", ".mako")):
            text = entry.read_text(encoding="utf-8")
            for old, then in ((SERVICE, name), ("sqlawait.db", f"{name}.db"), (TITLE, f'title="{name}"')):
                text = text.replace(old, then)
            (target / entry.name).write_text(text, encoding="utf-8")


def _render(source: Traversable, target: Path, name: str) -> None:
    """Write the files around the package from their templates."""
    templates = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.is_dir():
            _render(entry, target / entry.name, name)
        else:
            text = templates.from_string(entry.read_text(encoding="utf-8")).render(name=name)
            (target / entry.name.removesuffix(".j2")).write_text(text, encoding="utf-8")
