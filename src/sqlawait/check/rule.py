"""A rule: one declaration that drives the finding, the tests, the page and the fixable flag."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Module

from .finding import Finding, Fix

Checker = Callable[[Analysis], Iterator[Finding]]
HOME = "https://github.com/sqlawait/sqlawait/blob/main/docs/rules"


@dataclass(frozen=True, slots=True)
class Example:
    """Code that a rule speaks of. In wrong code, a comment with the rule's code marks each line it is found on.

    It is read as a module that has imported everything of :mod:`sqlawait.check.sample`.
    """

    code: str
    fixed: str = ""
    """The same after the fix, where there is one."""


@dataclass(eq=False)
class Rule:
    """One rule. Its file, its page and its test case all come from here."""

    code: str
    name: str
    """Kebab-case, and the stem of its page."""
    summary: str
    """What it finds, in one sentence."""
    why: str
    """Why that is bad."""
    remedy: str
    """What to do instead."""
    wrong: tuple[Example, ...]
    right: tuple[Example, ...]
    fix: Literal["safe", "unsafe"] | None = None
    limits: str = ""
    """Known problems: what it leaves out, and where it may be mistaken."""
    default: bool = True
    checker: Checker = field(init=False)

    def check(self, checker: Checker) -> Checker:
        """Decorate the function that finds."""
        self.checker = checker
        return checker

    @property
    def url(self) -> str:
        """The address of its page."""
        return f"{HOME}/{self.name}.md"

    def at(
        self,
        module: Module,
        node: ast.AST,
        message: str,
        *,
        trail: tuple[str, ...] = (),
        fix: Fix | None = None,
    ) -> Finding:
        """A finding of this rule."""
        return Finding(self.code, message, module, node, trail, fix)


__all__ = ["Example", "Rule"]
