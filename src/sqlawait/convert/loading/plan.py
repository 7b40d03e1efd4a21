"""Where each thing that was loaded on access is loaded from now on."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Class
from sqlawait.analysis.models import Models, Relationship

from .options import Path
from .statements import Statement


@dataclass(frozen=True, slots=True)
class Refresh:
    """``await session.refresh(owner, [names])`` above or below a statement."""

    statement: ast.stmt
    owner: str
    """The owner as the code around names it."""
    session: str
    """Empty where no session is in reach: the object knows its own."""
    below: bool = False
    items: bool = False
    """The owner is a list, whose items are refreshed."""
    optional: bool = False
    """The owner may be None."""
    model: Class | None = field(default=None, compare=False)
    """The class of the owner, where it is known."""


@dataclass
class Plan:
    """Everything that the conversion will load."""

    options: dict[Statement, list[Path]] = field(default_factory=lambda: defaultdict(list))
    circles: set[Statement] = field(default_factory=set)
    """Statements whose options come back to a model: what is loaded last would replace what came first."""
    refreshes: dict[Refresh, set[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(set))
    """The relationships of each, nested ones as paths; an empty path stands for all columns."""
    many: dict[Refresh, set[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(set))
    """Those paths, and what leads up to them, that end in a collection."""
    placed: set[ast.AST] = field(default_factory=set)
    """The declarations of the relationships that are dealt with here."""
    mapped: dict[ast.AST, Relationship] = field(default_factory=dict)
    """The relationships that can only be loaded with every owner, by their declaration."""
    notes: list[str] = field(default_factory=list)
    """What could not be placed as well as wished, for the report."""

    def refresh(self, place: Refresh, path: tuple[str, ...], models: Models) -> None:
        """Refresh what a path of relationships leads to; all columns where it is empty."""
        self.refreshes[place].add(path)
        known = [_steps(place.model, path, models)] if place.model is not None else []
        if not any(len(steps) == len(path) for steps in known):
            known = [_steps(model, path, models) for model in models.all()]
        for steps in known:
            if len(steps) == len(path):
                self.many[place] |= {path[: index + 1] for index, each in enumerate(steps) if each.many}

    def nodes(self, statement: Statement | None, models: Models) -> set[ast.AST | None]:
        """The declarations of the relationships that the options of a statement load."""
        steps = [step for path in self.options.get(statement, ()) for step in path] if statement else []
        found = [models.relationship(step.owner, step.name) for step in steps]
        return {each.node for each in found if each is not None}

    def load(self, statement: Statement, path: Path) -> None:
        """Load a path with a statement."""
        if path not in self.options[statement]:
            self.options[statement].append(path)


def _steps(model: Class, path: tuple[str, ...], models: Models) -> list[Relationship]:
    """The relationships that a path names, as far as it can be followed from a model."""
    found: list[Relationship] = []
    owner: Class | None = model
    for name in path:
        step = models.relationship(owner, name)
        if step is None:
            break
        found.append(step)
        owner = step.target
    return found


__all__ = ["Plan", "Refresh"]
