"""Settings of a check: those of ``[tool.sqlawait]``, overridden by the command line."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .registry import RULES, expand


class SettingsError(Exception):
    """A setting that cannot be meant; the message says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to check and which rules to use."""

    root: Path = field(default_factory=Path.cwd)
    """Where patterns are relative to: the folder of the ``pyproject.toml``."""
    codes: frozenset[str] = frozenset(code for code, rule in RULES.items() if rule.default)
    exclude: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, frozenset[str]] = field(default_factory=dict)
    baseline: Path | None = None

    def excluded(self, path: Path) -> bool:
        """Whether a file or folder is left out."""
        return any(_matches(path, pattern, self.root) for pattern in self.exclude)

    def ignored(self, path: Path, code: str) -> bool:
        """Whether a code is ignored in a file."""
        return any(
            code in codes and _matches(path, pattern, self.root)
            for pattern, codes in self.per_file_ignores.items()
        )


KEYS = {"select", "extend-select", "ignore", "exclude", "per-file-ignores", "baseline"}


def load(start: Path) -> Settings:
    """The settings of the nearest ``pyproject.toml`` at or above a path that has ``[tool.sqlawait]``.

    Raises:
        SettingsError: a key or code that does not exist, or a file that is not TOML.
    """
    start = start.resolve()
    for folder in [start, *start.parents] if start.is_dir() else start.parents:
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("sqlawait")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from error
        if table is not None:
            return _from_table(table, file)
    return Settings()


def selected(settings: Settings, *, select: Iterable[str], ignore: Iterable[str]) -> Settings:
    """The settings with the command line's ``--select`` and ``--ignore``.

    Raises:
        SettingsError: a code that no rule has.
    """
    codes = _codes(select, "--select") or settings.codes
    return replace(settings, codes=frozenset(codes) - _codes(ignore, "--ignore"))


def _from_table(table: Mapping[str, object], file: Path) -> Settings:
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise SettingsError(
            f"{file}: [tool.sqlawait] has no key {unknown[0]!r}; its keys are {', '.join(sorted(KEYS))}"
        )
    defaults = Settings(root=file.parent)
    where = f"{file}: [tool.sqlawait]"
    codes = _codes(_strings(table, "select", where), where) or defaults.codes
    codes = codes | _codes(_strings(table, "extend-select", where), where)
    per_file = table.get("per-file-ignores", {})
    if not isinstance(per_file, dict):
        raise SettingsError(f"{where} per-file-ignores is a table of patterns and lists of codes")
    baseline = table.get("baseline")
    return replace(
        defaults,
        codes=frozenset(codes - _codes(_strings(table, "ignore", where), where)),
        exclude=tuple(_strings(table, "exclude", where)),
        per_file_ignores={str(p): frozenset(_codes(_strings(per_file, p, where), where)) for p in per_file},
        baseline=file.parent / str(baseline) if baseline is not None else None,
    )


def _strings(table: Mapping[str, object], key: str, where: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SettingsError(f"{where} {key} is a list of strings")
    return [str(each) for each in value]


def _codes(selectors: Iterable[str], where: str) -> frozenset[str]:
    found: set[str] = set()
    for each in selectors:
        for selector in each.split(","):
            codes = expand(selector)
            if not codes:
                raise SettingsError(
                    f"{where} names no rule with {selector.strip()!r}; `sqlawait rule --all` lists them"
                )
            found |= codes
    return frozenset(found)


def _matches(path: Path, pattern: str, root: Path) -> bool:
    try:
        relative = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        relative = path.as_posix()
    folder = pattern.rstrip("/").removesuffix("/**").removesuffix("/*")
    return (
        fnmatch.fnmatch(relative, pattern)
        or fnmatch.fnmatch(path.name, pattern)
        or relative == folder
        or relative.startswith(f"{folder}/")
    )


__all__ = ["Settings", "SettingsError", "load", "selected"]
