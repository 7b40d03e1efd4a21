"""``sqlawait check`` and ``sqlawait rule``, with ruff's options and exit codes.

0: nothing found. 1: something found, or a file could not be read. 2: the command itself is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import baseline as baselines
from . import noqa
from .docs import page
from .engine import Report, check_paths
from .fixing import diff, fixed_texts
from .formats import FORMATS, relative, statistics
from .progress import progress_bar
from .registry import RULES, find_rule
from .settings import Settings, SettingsError, load, selected

MAX_ROUNDS = 10
"""Fixes can uncover others: so many times they are applied and the code is checked again."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    paths: Sequence[Path]
    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    fix: bool = False
    unsafe_fixes: bool = False
    diff: bool = False
    statistics: bool = False
    output_format: str = "full"
    baseline: Path | None = None
    add_noqa: bool = False
    exit_zero: bool = False
    quiet: bool = False


def check(options: Options, write: Callable[[str], None] = print) -> int:
    """Run a check; gives the exit code."""
    try:
        settings = _settings(options)
    except (SettingsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.output_format not in FORMATS:
        print(
            f"error: no output format {options.output_format!r}; there are {', '.join(FORMATS)}",
            file=sys.stderr,
        )
        return 2
    missing = [path for path in options.paths if not path.exists()]
    if missing:
        print(f"error: {missing[0]} does not exist", file=sys.stderr)
        return 2
    with progress_bar(quiet=options.quiet) as progress:
        report = check_paths(options.paths, settings, progress=progress)
        if options.diff:
            return _show_diff(report, options, write)
        fixed = 0
        if options.fix:
            report, fixed = _fix(report, options, settings)
    if report.notice and not options.quiet:
        print(f"notice: {report.notice}", file=sys.stderr)
    if settings.baseline is not None:
        outcome = _against_baseline(report, settings.baseline, options)
        if isinstance(outcome, int):
            return outcome
        report = outcome
    if options.add_noqa:
        return _add_noqa(report)
    _show(report, options, write, fixed)
    return 0 if options.exit_zero or not (report.findings or report.broken) else 1


def rule(name: str | None, *, everything: bool = False, write: Callable[[str], None] = print) -> int:
    """Explain a rule, or list them all; gives the exit code."""
    if everything or name is None:
        for each in RULES.values():
            mark = {"safe": "*", "unsafe": "~", None: " "}[each.fix]
            write(
                f"{each.code} [{mark}] {each.name}: {each.summary}{'' if each.default else ' (off by default)'}"
            )
        return 0
    found = find_rule(name)
    if found is None:
        print(f"error: no rule {name!r}; `sqlawait rule --all` lists them", file=sys.stderr)
        return 2
    write(page(found))
    return 0


def _settings(options: Options) -> Settings:
    start = options.paths[0] if options.paths else Path.cwd()
    settings = selected(load(start), select=options.select, ignore=options.ignore)
    return replace(settings, baseline=options.baseline or settings.baseline)


def _show(report: Report, options: Options, write: Callable[[str], None], fixed: int) -> None:
    text = statistics(report) if options.statistics else FORMATS[options.output_format](report)
    if text:
        write(text)
    if options.output_format in ("full", "concise") and not options.quiet:
        write(_summary(report, options, fixed))


def _summary(report: Report, options: Options, fixed: int) -> str:
    count = len(report.findings)
    parts = [f"Found {count} {'finding' if count == 1 else 'findings'} in {report.files} files"]
    if fixed:
        parts.append(f"{fixed} fixed")
    if report.broken:
        parts.append(f"{len(report.broken)} files could not be read")
    text = ", ".join(parts) + "."
    safe = sum(each.fix is not None and each.fix.safe for each in report.findings)
    unsafe = sum(each.fix is not None and not each.fix.safe for each in report.findings)
    if safe and not options.fix:
        text += f"\n[*] {safe} fixable with the `--fix` option."
    if unsafe and not options.unsafe_fixes:
        text += f"\n{unsafe} more can be fixed with `--fix --unsafe-fixes`."
    return text if count or fixed or report.broken else f"All checks passed: {report.files} files."


def _fix(report: Report, options: Options, settings: Settings) -> tuple[Report, int]:
    total = 0
    for _ in range(MAX_ROUNDS):
        texts, count = fixed_texts(report.findings, unsafe=options.unsafe_fixes)
        if not texts:
            break
        for path, text in texts.items():
            _write(path, text)
        total += count
        report = check_paths(options.paths, settings)
    return report, total


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def _show_diff(report: Report, options: Options, write: Callable[[str], None]) -> int:
    texts, _ = fixed_texts(report.findings, unsafe=options.unsafe_fixes)
    for path, text in sorted(texts.items()):
        write(diff(relative(path), path.read_bytes().decode("utf-8-sig"), text).rstrip("\n"))
    return 1 if texts else 0


def _against_baseline(report: Report, path: Path, options: Options) -> Report | int:
    if not path.exists():
        count = baselines.write(path, report.findings)
        if not options.quiet:
            print(f"wrote {count} findings to {path}; later checks show only new ones", file=sys.stderr)
        return 0
    try:
        known = baselines.read(path)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return replace(report, findings=tuple(baselines.new(report.findings, known, path)))


def _add_noqa(report: Report) -> int:
    codes: dict[Path, dict[int, list[str]]] = {}
    for each in report.findings:
        codes.setdefault(each.path, {}).setdefault(each.start[0], []).append(each.code)
    for path, by_line in codes.items():
        lines = [f"{line}\n" for line in path.read_bytes().decode("utf-8-sig").split("\n")]
        for number, found in by_line.items():
            lines[number - 1] = noqa.with_noqa(lines[number - 1], sorted(set(found)))
        _write(path, "".join(lines).removesuffix("\n"))
    print(f"added {len(report.findings)} noqa comments", file=sys.stderr)
    return 0


__all__ = ["Options", "check", "rule"]
