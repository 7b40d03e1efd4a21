"""Parsing, also of syntax newer than the Python that runs this.

What a newer Python allows is blanked or put in parentheses so that the positions of all the rest stay as they
are.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings

_EXCEPT = re.compile(r"^(\s*except\*?) ([^\s():#][^():#]*,[^():#]*):", re.MULTILINE)
_PARAMS = re.compile(
    r"^(\s*(?:class|def|async def) +\w+)(\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\])(?=[(:])", re.MULTILINE
)
_ALIAS = re.compile(r"^(\s*)type (\w+)( *)(\[[^\]\n]*\])?( *)=", re.MULTILINE)


def parse(source: str, filename: str = "<source>") -> ast.Module:
    """The tree of a file.

    Raises:
        SyntaxError: where no Python understands it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source, filename=filename)
        except SyntaxError:
            repaired = _repaired(source)
            if repaired == source:
                raise
            return ast.parse(repaired, filename=filename)


def _repaired(source: str) -> str:
    if sys.version_info < (3, 14):  # PEP 758: except A, B:
        source = _EXCEPT.sub(r"\1(\2):", source)
    if sys.version_info < (3, 12):  # PEP 695: class A[T]:, type X = …
        source = _PARAMS.sub(lambda m: m[1] + _blank(m[2]), source)
        source = _ALIAS.sub(
            lambda m: f"{m[1]}{m[2]}{' ' * (m.end() - m.start() - len(m[1]) - len(m[2]) - 1)}=", source
        )
    return source


def _blank(text: str) -> str:
    """Space of the same shape; lines are joined, so that the statement goes on."""
    return "\\\n".join(
        " " * (len(line) - (number < text.count("\n"))) for number, line in enumerate(text.split("\n"))
    )


__all__ = ["parse"]
