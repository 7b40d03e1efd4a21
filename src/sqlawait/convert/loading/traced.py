"""A trace becomes a plan: a load on access goes to the statement of its owner, or becomes a refresh."""

from __future__ import annotations

from collections.abc import Iterator

from sqlawait.analysis.declarations import Class
from sqlawait.analysis.models import Relationship
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts
from sqlawait.convert.tracing.trace import Load, Owner, Trace

from .options import Path, Step
from .plan import Plan, Refresh
from .refreshing import Refreshing
from .statements import Places, Statement, Statements

KEPT = ("commit", "refresh")
"""What expires objects in a sync session and does not with ``expire_on_commit=False``."""


class Traced:
    """Places what a trace saw."""

    def __init__(self, facts: Facts, colours: Colours, plan: Plan, trace: Trace, root: str) -> None:
        self.facts = facts
        self.plan = plan
        self.trace = trace
        self.places = Places(facts, root)
        self.statements = Statements(facts)
        self.refreshing = Refreshing(facts, colours)
        self.models = facts.inference.models
        self._named: dict[str, Class | None] = {each.id: each for each in self.models.all()}

    def place(self) -> None:
        """Place every load of the application."""
        for load in self.trace.loads:
            model = self._class(load.model)
            if model is None or load.by == "test":
                continue
            if load.kind == "relationship":
                relationship = self.models.relationship(model, load.attribute)
                if relationship is not None and relationship.node is not None:
                    self.plan.placed.add(relationship.node)
                    self._relationship(load, model, relationship)
            else:
                self._columns(load, model)

    # -- relationships ---------------------------------------------------------------------------------------

    def _relationship(self, load: Load, model: Class, relationship: Relationship) -> None:
        expired = load.expired[0] if load.expired else ""
        if load.reloaded and not load.written and expired in KEPT:
            return  # what the first load brought stays
        if not load.written and expired not in ("rollback", "expire"):
            for owner in (load.again, load.owner):
                if owner is not None and self._with_statement(owner, model, load.attribute):
                    return
        if self._refresh(load, model, load.attribute):
            return
        assert relationship.node is not None
        self.plan.mapped[relationship.node] = relationship
        where = load.touched[0] if load.touched else load.template or load.endpoint or "a library"
        self.plan.notes.append(
            f"{relationship.label} is loaded with every owner: no statement nor refresh was found for {where}"
        )

    def _with_statement(self, owner: Owner, model: Class, attribute: str) -> bool:
        if owner.how != "loaded":
            return False
        found = self._statement(owner)
        if found is None:
            return False
        path = self._path(owner, [(model, attribute)])
        if path is None:
            return False
        self.plan.load(found, path)
        return True

    def _statement(self, owner: Owner) -> Statement | None:
        """The statement that loaded an object, also where a helper only runs what it is given."""
        if owner.site is None or owner.root is None or owner.path is None:
            return None
        root = self._class(owner.root)
        for place in (owner.site, *owner.under):
            if place.kind != "app":
                return None
            for node in self.places.nodes(place):
                found = self.statements.at(node)
                if found is not None and root in found.models:
                    return found
        return None

    def _path(self, owner: Owner, last: list[tuple[Class, str]]) -> Path | None:
        steps: list[Step] = []
        before: Class | None = self._class(owner.root or "")
        for cls, name in [*((self._class(each), name) for each, name in owner.path or ()), *last]:
            if cls is None or before is None:
                return None
            known = self.models.relationship(before, name)
            declared = known or self.models.relationship(cls, name)
            if declared is None:
                return None
            if known is None and steps:
                return None  # of a subclass, behind another relationship
            steps.append(Step(before if known is not None else cls, name))
            before = declared.target
        return tuple(steps) or None

    # -- columns ---------------------------------------------------------------------------------------------

    def _columns(self, load: Load, model: Class) -> None:
        if load.how in KEPT or load.how == "flush":
            return  # flush: columns that the database computes come back with the write (eager_defaults)
        if load.how in ("subclass", "deferred"):
            for owner in (load.again, load.owner):
                if owner is not None and owner.how == "loaded" and self._more_columns(owner, load, model):
                    return
        if not self._refresh(load, model, ""):
            where = load.touched[0] if load.touched else None
            self.plan.notes.append(
                f"columns of {model.name} ({load.how}) are loaded when they are read"
                + (f", at {where}" if where is not None else "")
            )

    def _more_columns(self, owner: Owner, load: Load, model: Class) -> bool:
        found = self._statement(owner)
        root = self._class(owner.root or "")
        if found is None or root is None:
            return False
        steps: Path | None = self._path(owner, []) if owner.path else ()
        if steps is None:
            return False
        base = root
        if steps:
            last = self.models.relationship(steps[-1].owner, steps[-1].name)
            if last is None or last.target is None:
                return False
            base = last.target
        if load.how == "subclass":
            self.plan.load(found, (*steps, Step(base, "", "selectin_polymorphic", model)))
        else:
            for name in load.attribute.split(","):
                self.plan.load(found, (*steps, Step(model, name, "undefer")))
        return True

    # -- refreshes -------------------------------------------------------------------------------------------

    def _refresh(self, load: Load, model: Class, attribute: str) -> bool:
        """Refresh the object, or the one that it was reached from."""
        last = (attribute,) if attribute else ()
        for named in load.named:
            for node in self.places.nodes(load.touched[named.place]):
                place = self.refreshing.named(node, named.text, items=named.item)
                if place is not None:
                    self.plan.refresh(
                        self._after_write(load, place) or place, (*named.path, *last), self.models
                    )
                    return True
        stack = [self.places.nodes(each) for each in load.touched if each.kind == "app"]
        owner = self.refreshing.touched(stack, model, attribute) if stack else None
        place = self.refreshing.above(owner) if owner is not None else None
        if place is not None:
            self.plan.refresh(self._after_write(load, place) or place, last, self.models)
            return True
        if stack or load.endpoint is None:
            return False
        return any(self._refresh_answer(load.endpoint, *each, last) for each in self._roots(load, model))

    def _roots(self, load: Load, model: Class) -> Iterator[tuple[Class, tuple[str, ...]]]:
        """The object, and the one at the root of the path to it, each with the path from there."""
        yield model, ()
        for owner in (load.again, load.owner):
            root = self._class(owner.root) if owner is not None and owner.path and owner.root else None
            if owner is not None and root is not None:
                yield root, tuple(name for _, name in owner.path or ())

    def _refresh_answer(
        self, endpoint: tuple[str, int], root: Class, path: tuple[str, ...], last: tuple[str, ...]
    ) -> bool:
        """Refresh what a route returns, above its returns."""
        node = self.places.function(*endpoint)
        function = self.facts.project.collected.functions.get(node) if node is not None else None
        found = self.refreshing.before_return(function, root) if function is not None else []
        for each in found:
            self.plan.refresh(each, (*path, *last), self.models)
        return bool(found)

    def _after_write(self, load: Load, place: Refresh) -> Refresh | None:
        """Below the commit or flush that wrote an object first, so that it is there to be refreshed."""
        made = load.owner
        if load.written or made is None or made.how != "made" or made.site is None:
            return None
        for site in (made.site, *made.under):
            for node in self.places.nodes(site) if site.kind == "app" else ():
                found = self.refreshing.below(node, place)
                if found is not None:
                    return found
        return None

    def _class(self, name: str) -> Class | None:
        if name not in self._named:
            tails = {each for each in self._named.values() if each is not None and _same(each.id, name)}
            self._named[name] = tails.pop() if len(tails) == 1 else None
        return self._named[name]


def _same(one: str, other: str) -> bool:
    """Whether two dotted names are one class, seen from different roots."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


__all__ = ["Traced"]
