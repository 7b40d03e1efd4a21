"""What stands outside functions: engines, factories, code that runs at import, the annotations of classes."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Module

from .context import Context, Refusal
from .decisions import Decisions
from .kinds import kind_of
from .resources import is_listener
from .rewrites.awaits import on_sync_engine
from .rewrites.definitions import rewrite_annotation
from .rewrites.factories import append_keyword, rewrite_factory
from .twins import Twins

ORM = "sqlalchemy.orm"


class TopLevel:
    """Writes it."""

    def __init__(self, decisions: Decisions, twins: Twins) -> None:
        self.facts = decisions.facts
        self.colours = decisions.colours
        self.resources = decisions.resources
        self.drivers = decisions.options.drivers
        self.twins = twins

    def rewrite(self, context: Context) -> None:
        """Write that of one file."""
        self._resources(context.module, context)
        self._statements(context.module, context)

    def _resources(self, module: Module, context: Context) -> None:
        for resource in self.resources.values():
            if resource.module is not module or not resource.asynchronous:
                continue
            events = resource.kind == "maker" and resource.listened
            if resource.synchronous:
                self.twins.put_beside(resource, context, before=events)
            elif events:
                line = self.facts.project.statement(resource.call).lineno
                context.edits.insert_line(line, f"{resource.twin} = {context.need(ORM, 'sessionmaker')}()\n")
            try:
                for call in ast.walk(resource.call):
                    kind = kind_of(call, self.facts) if isinstance(call, ast.Call) else ""
                    if isinstance(call, ast.Call) and kind:
                        rewrite_factory(call, kind, context, self.drivers)
                        context.counts[kind] += 1
                if events and isinstance(
                    resource.call, ast.Call
                ):  # events are those of the sync session inside
                    append_keyword(resource.call, f"sync_session_class={resource.twin}", context)
                if isinstance(resource.binding.node, ast.AnnAssign):
                    rewrite_annotation(resource.binding.node.annotation, context)
            except Refusal as refusal:
                context.refuse(resource.call, refusal)

    def _statements(self, module: Module, context: Context) -> None:
        """The code that runs at import, and the annotations of classes."""
        skip = {
            node
            for resource in self.resources.values()
            if resource.module is module and resource.asynchronous
            for node in ast.walk(resource.call)
        }
        for resource in self.resources.values():
            for node, function in resource.uses:
                listens = function is None and resource.asynchronous and is_listener(node, self.facts)
                if not listens or self.facts.project.module_of(node) is not module:
                    continue
                if resource.kind == "engine":
                    on_sync_engine(node, context)
                    skip.add(node)
                elif resource.kind == "maker" and isinstance(node, ast.Name | ast.Attribute):
                    self.twins.write_name(node, resource.twin, context.edits, context)
                    skip.add(node)
        nodes = [node for statement in module.tree.body for node in _loads(statement)]
        self.twins.rename([node for node in nodes if node not in skip], context.edits, context)
        for statement in ast.walk(module.tree):
            if (
                isinstance(statement, ast.Assign | ast.AnnAssign)
                and self.facts.project.function_of(statement) is None
            ):
                value = statement.value
                if isinstance(value, ast.Subscript):
                    rewrite_annotation(value, context)
                if isinstance(statement, ast.AnnAssign) and self._class_converted(statement):
                    rewrite_annotation(statement.annotation, context)

    def _class_converted(self, statement: ast.stmt) -> bool:
        parent = self.facts.parent(statement)
        cls = self.facts.project.collected.classes.get(parent) if parent is not None else None
        return cls is not None and any(method in self.colours.converted for method in cls.methods.values())


def _loads(statement: ast.stmt) -> list[ast.AST]:
    """The nodes of a statement that run at import; functions are looked at elsewhere."""
    found: list[ast.AST] = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        found.append(node)
        pending += list(ast.iter_child_nodes(node))
    return found


__all__ = ["TopLevel"]
