"""Classes whose objects hold a session, or an object that does."""

from __future__ import annotations

from collections.abc import Iterator

from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.types import members

from .barriers import Barriers
from .facts import Facts


class Holders:
    """Finds them."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.classes = self._find()

    def _find(self) -> set[Class]:
        found: set[Class] = set()
        classes = [
            each for each in self.facts.project.classes if not self.facts.inference.models.is_model(each)
        ]
        before = -1
        while len(found) != before:
            before = len(found)
            found |= {each for each in classes if each not in found and self._holds(each, found)}
        return found

    def _holds(self, cls: Class, holders: set[Class]) -> bool:
        for base, _ in self.facts.inference.bases(cls):
            for bindings in () if base.module.stub else base.assigned.values():
                for value in [each.value for each in bindings if each.value is not None]:
                    if self.facts.is_session(value):
                        return True
                    if any(
                        each.kind == "instance" and each.decl in holders
                        for each in members(self.facts.type_of(value))
                    ):
                        return True
        return False

    def beside(self, function: Function, barriers: Barriers) -> Iterator[Function]:
        """The other methods of an object that holds an async session: none of them can use it as a sync one."""
        if function.cls is not None and function.cls in self.classes and function.name != "__init__":
            for base, _ in self.facts.inference.bases(function.cls):
                for method in () if base.module.stub else base.methods.values():
                    if not barriers.cannot_await(method) and not barriers.is_barrier(method):
                        yield method


__all__ = ["Holders"]
