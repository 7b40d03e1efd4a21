"""The loading of a code base: what comes with which statement, and how the rest is loaded."""

from __future__ import annotations

import ast

from sqlawait.convert.decisions import Decisions
from sqlawait.convert.rewrites.factories import append_keyword, keep_after_commit

from .deferred import load_deferred
from .inheritance import load_subclass
from .mappers import Mappers, in_templates
from .outdated import Outdated
from .placing import Placing
from .plan import Plan
from .rereading import Rereading, reading_anew
from .statements import Statements
from .traced import Traced
from .writing import Contexts, write_options, write_refreshes


class Loads:
    """Decides it before the code is rewritten, and writes the rest behind it."""

    def __init__(self, decisions: Decisions, context: Contexts, *, blocking: bool) -> None:
        self.facts = decisions.facts
        self.colours = decisions.colours
        self.resources = decisions.resources
        self.suite = decisions.suite
        self.root = decisions.root
        self.trace = decisions.options.trace
        self.context = context
        self.blocking = blocking
        self.plan = Plan()

    def place(self) -> None:
        """Load with its statement what was loaded when it was read, where that statement is known."""
        if self.trace is not None:
            Traced(self.facts, self.colours, self.plan, self.trace, str(self.root)).place()
        models = self.facts.inference.models
        names = {name for model in models.all() for name in models.relationships(model)}
        read = in_templates(self.root, names)
        Placing(self.facts, self.colours, self.plan, self.suite, read).place()
        self.plan.notes += write_options(self.plan, self.facts, self.context)
        write_refreshes(self.plan, self.facts, self.context)

    def write(self) -> None:
        """Load what can no longer be loaded when it is read, and is not loaded with a statement."""
        loading = Mappers(self.facts, self.colours, self.root, self.suite, self.plan)
        if self.blocking:
            for resource in self.resources.values():
                if resource.asynchronous and isinstance(resource.call, ast.Call):
                    keep_after_commit(resource.call, resource.kind, self.context(resource.module))
        reached = loading.reached()
        for relationship in reached:
            assert relationship.node is not None
            module = self.facts.project.module_of(relationship.node)
            if module.checked and module not in self.suite:
                loading.rewrite(relationship, self.context(module))
                self.context(module).counts["relationships"] += 1
        for relationship in loading.circles():
            assert relationship.node is not None
            module = self.facts.project.module_of(relationship.node)
            if module.checked and module not in self.suite:
                loading.deepen(relationship, self.context(module))
        fields = loading.fields()
        for cls in self.facts.project.classes:
            if cls.module.checked and cls.module not in self.suite:
                edits = self.context(cls.module).edits
                loading.computed(cls, edits)
                load_deferred(cls, self.facts, self.plan, fields, edits)
                load_subclass(cls, self.facts, self.context(cls.module))
        for function in self.colours.awaited:
            loading.refresh_new(function, self.context(function.module))
        mapped = {each.node for each in reached if each.node is not None}
        write_refreshes(Outdated(self.facts, self.colours).returned(mapped), self.facts, self.context)
        self._read_again(loading)

    def _read_again(self, loading: Mappers) -> None:
        """Let what is read after a write replace what was loaded before it."""
        rereading = Rereading(self.facts, self.colours)
        if not rereading.flushes():
            return
        statements = Statements(self.facts)
        for function in self.colours.awaited:
            for call, models in rereading.calls(function):
                statement = statements.at(call)
                covered = self.plan.nodes(statement, self.facts.inference.models)
                if (
                    any(map(loading.keeps_collections, models))
                    and statement not in self.plan.circles
                    and not any(
                        rereading.holds(function, call, loading.forgets(each, covered)) for each in models
                    )
                ):
                    context = self.context(function.module)
                    append_keyword(call, reading_anew(call), context)


__all__ = ["Loads"]
