"""What a rewrite works with: the file's changes, facts about its expressions, the imports it will need."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .edits import Edits
from .refusals import Refusal

if TYPE_CHECKING:
    from sqlawait.analysis.declarations import Module

    from .chains import Chain
    from .facts import Facts


@dataclass
class Context:
    """The conversion of one file."""

    module: Module
    facts: Facts
    edits: Edits
    imports: dict[tuple[str, str], str] = field(default_factory=dict)
    """What the file will need: (module, name) and the name that it goes by in the file."""
    stars: set[str] = field(default_factory=set)
    """Modules that are imported whole."""
    helpers: dict[str, str] = field(default_factory=dict)
    """Functions of ours that the file will define, by name."""
    blocking: bool = False
    """Whether the code stays sync for now: nothing is awaited."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many places were rewritten, by what they are."""
    options: dict[ast.expr, list[str]] = field(default_factory=dict)
    """Loader options for calls of ``Query.get``, which are written anew."""
    todos: list[tuple[int, str, str]] = field(default_factory=list)
    """What was refused: line, code, reason."""

    @property
    def waits(self) -> str:
        """What stands before a call that waits for the database."""
        return "" if self.blocking else "await "

    @property
    def session_class(self) -> tuple[str, str]:
        """Where the class of sessions is imported from, and its name."""
        return ("sqlalchemy.orm", "Session") if self.blocking else ("sqlalchemy.ext.asyncio", "AsyncSession")

    def need(self, source: str, name: str) -> str:
        """Import a name; gives what it is called in this file."""
        key = (source, name)
        if key in self.imports:
            return self.imports[key]
        if not source and self.facts.names.imports_module(self.module, name):
            return name
        known = self.facts.names.imported_as(self.module, source, name)
        if known:
            return known
        taken = self.facts.names.is_taken(self.module, name)
        local = f"sa_{name}" if taken else name
        self.imports[key] = local
        return local

    def render(self, node: ast.expr) -> str:
        """The source of an expression with the changes made to it so far."""
        return self.edits.apply(self.edits.start(node), self.edits.end(node))

    def session_of(self, chain: Chain) -> str:
        """The source of the session that a chain runs on."""
        if chain.session is not None:
            return self.render_session(chain.session)
        found = self.facts.sessions.behind(chain.root) or self.facts.sessions.in_reach(chain.root)
        if not found:
            raise Refusal("SAW903", f"the session that runs {self.edits.text(chain.root)} is not in reach here")
        return found

    def render_session(self, node: ast.expr) -> str:
        """The source of a session expression; a call that became awaitable is awaited."""
        text = self.render(node)
        return f"({text})" if text.startswith("await ") else text

    def refuse(self, node: ast.AST, refusal: Refusal) -> None:
        """Leave a construct as it is, with the reason above it."""
        reason = " ".join(refusal.reason.split())
        line = getattr(self.facts.project.statement(node), "lineno", 1)
        entry = (line, refusal.code, reason)
        if entry not in self.todos:
            self.todos.append(entry)
            self.edits.note(line, f"TODO(sqlawait {refusal.code}): {reason}")


__all__ = ["Context", "Refusal"]
