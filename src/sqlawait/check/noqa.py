"""Comments that silence: ``# noqa: SAW101`` on a line, ``# sqlawait: noqa`` for a file."""

from __future__ import annotations

import re

_LINE = re.compile(r"#\s*noqa(?P<codes>:\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?", re.IGNORECASE)
_FILE = re.compile(
    r"^\s*#\s*(?:sqlawait|ruff|flake8):\s*noqa(?P<codes>:\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?\s*$",
    re.IGNORECASE,
)
_CODE = re.compile(r"[A-Z]+[0-9]+", re.IGNORECASE)


def silenced(line: str, code: str) -> bool:
    """Whether a comment on the line silences a code."""
    match = _LINE.search(line)
    return match is not None and _covers(match["codes"], code)


def silenced_in_file(lines: list[str], code: str) -> bool:
    """Whether a comment of its own line silences a code in the whole file."""
    return any(
        _covers(match["codes"], code)
        for line in lines
        if "noqa" in line and (match := _FILE.match(line)) is not None
    )


def with_noqa(line: str, codes: list[str]) -> str:
    """The line with a comment that silences these codes, added to one that is there."""
    body = line.rstrip("\r\n")
    ending = line[len(body) :]
    match = _LINE.search(body)
    if match is None:
        return f"{body}  # noqa: {', '.join(codes)}{ending}"
    if match["codes"] is None:
        return line
    known = _CODE.findall(match["codes"])
    new = [code for code in codes if code.upper() not in {each.upper() for each in known}]
    if not new:
        return line
    return f"{body[: match.start()]}# noqa: {', '.join([*known, *new])}{body[match.end() :]}{ending}"


def _covers(codes: str | None, code: str) -> bool:
    return codes is None or any(code == each.upper() for each in _CODE.findall(codes))


__all__ = ["silenced", "silenced_in_file", "with_noqa"]
