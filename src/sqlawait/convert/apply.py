"""Writes a conversion to disk: all of it or nothing, onto a git tree with nothing uncommitted."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import tokenize
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlawait.analysis.syntax import parse


class Refused(Exception):
    """The tree is not in a state that a conversion may be written to."""


def check_tree(root: Path) -> None:
    """Raise Refused unless ``root`` is in a git tree without uncommitted changes under it."""
    folder = root if root.is_dir() else root.parent
    inside = _git(folder, "rev-parse", "--is-inside-work-tree")
    if inside.returncode != 0:
        raise Refused(
            f"{folder} is not in a git tree, so a conversion could not be undone;"
            " run git init and commit, or pass --force"
        )
    status = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", str(root))
    if status.stdout.strip():
        first = status.stdout.strip().splitlines()[0]
        raise Refused(
            f"{folder} has uncommitted changes ({first.strip()}); commit or stash them, or pass --force"
        )


def write_all(files: Mapping[Path, str]) -> None:
    """Write the files; when one cannot be written, put back those that were."""
    for path, text in files.items():
        if path.suffix == ".py":
            compile(parse(text, str(path)), str(path), "exec", dont_inherit=True)
    staged: dict[Path, Path] = {}
    with restored(files):
        try:
            for path, text in files.items():
                staged[path] = _stage(path, text)
            for path, temporary in staged.items():
                temporary.replace(path)
        finally:
            for temporary in staged.values():
                temporary.unlink(missing_ok=True)


@contextmanager
def restored(paths: Iterable[Path]) -> Iterator[None]:
    """Leave the files as they were when what is done to them fails."""
    before = {path: path.read_bytes() if path.exists() else None for path in paths}
    try:
        yield
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        raise


def _stage(path: Path, text: str) -> Path:
    """A file beside the target with the new content, ready to take its place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(_as_before(path, text))
    staged = Path(name)
    staged.chmod(path.stat().st_mode if path.exists() else 0o644)
    return staged


def _as_before(path: Path, text: str) -> bytes:
    """The text in the encoding of the file that it replaces, and with its line ends."""
    if not path.exists():
        return text.encode()
    before = path.read_bytes()
    encoding = "utf-8-sig" if before.startswith(BOM_UTF8) else "utf-8"
    if path.suffix == ".py":
        encoding, _ = tokenize.detect_encoding(io.BytesIO(before).readline)
    if before.partition(b"\n")[0].endswith(b"\r"):
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return text.encode(encoding)


def commit(root: Path, files: Mapping[Path, str], message: str) -> None:
    """Write the files and commit them, and nothing else; when that fails, they are as they were."""
    folder = root if root.is_dir() else root.parent
    names = [str(path) for path in files]
    with restored(files):
        try:
            write_all(files)
            for arguments in (["add", "--", *names], ["commit", "-q", "-m", message, "--", *names]):
                done = _git(folder, *arguments)
                if done.returncode != 0:
                    said = done.stderr.strip() or done.stdout.strip()
                    raise Refused(f"could not commit {message!r}: git {arguments[0]} failed: {said}")
        except BaseException:
            _git(folder, "reset", "-q", "--", *names)
            raise


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603, S607  # git from PATH, no shell


__all__ = ["Refused", "check_tree", "commit", "restored", "write_all"]
