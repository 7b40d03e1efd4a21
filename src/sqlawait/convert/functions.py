"""One function, written anew: its queries, waits, calls, and what it makes and enters."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import partial

from sqlawait.analysis.declarations import Class, Function

from .context import Context, Refusal
from .decisions import Decisions
from .handing import SYNC_CALLS
from .kinds import kind_of
from .resources import is_listener
from .rewrites.awaits import (
    make_awaitable,
    on_sync_engine,
    on_sync_session,
    put_await,
    rewrite_wait,
    rewrite_with,
)
from .rewrites.blocking import rewrite_blocking
from .rewrites.calls import rewrite_call, rewrite_handed, rewrite_manager, rewrite_walk
from .rewrites.definitions import annotations_of, rewrite_annotation, rewrite_definition
from .rewrites.factories import (
    rewrite_factory,
    rewrite_session_of_state,
)
from .rewrites.lambdas import PER_ITEM, rewrite_per_item
from .rewrites.operators import rewrite_operator
from .rewrites.pagination import rewrite_pagination
from .rewrites.query import rewrite_query
from .rewrites.schema import refuse_reflection, rewrite_schema
from .twins import Twins
from .unbound import hand_session, take_session
from .waits import TO_THREAD, Wait

Step = tuple[int, Callable[[], None], ast.AST]
"""How much source a change covers, the change, and where it is."""


class Functions:
    """Writes the functions of a code base."""

    def __init__(self, decisions: Decisions, twins: Twins) -> None:
        self.facts = decisions.facts
        self.colours = decisions.colours
        self.unbound = decisions.unbound
        self.threads = decisions.threads
        self.drivers = decisions.options.drivers
        self.twins = twins

    def rewrite(self, function: Function, context: Context) -> None:
        """Write a function that becomes async, or that makes or hands on what does."""
        awaited = function in self.colours.awaited
        shared = function in self.colours.kept and function not in self.colours.twins
        rewrite_definition(function, awaited, context, shared=shared)
        if function in self.unbound.functions:
            take_session(function, self.unbound.functions[function], context)
        self._take(self._steps(function, context), context)

    def rewrite_queries(self, function: Function, context: Context) -> None:
        """Rewrite the queries of a function only, and leave it to a later phase to await them."""
        uses = self.colours.units[function].uses
        chains = [wait for wait in uses.waits if wait.chain is not None]
        self._take([(_span(each.node), self._waiting(each, context), each.node) for each in chains], context)
        for annotation in annotations_of(function):
            rewrite_annotation(annotation, context, only="Query")
        if function in self.unbound.functions:
            take_session(function, self.unbound.functions[function], context)
        for call, _ in uses.calls:
            if call in self.unbound.arguments:
                hand_session(call, self.unbound.arguments[call], context)

    def _steps(self, function: Function, context: Context) -> list[Step]:
        """What is to be done in a function, each with how much source it covers."""
        unit = self.colours.units[function]
        steps: list[Step] = [
            (_span(wait.node), self._waiting(wait, context), wait.node)
            for wait in unit.uses.waits
            if wait.kind not in {"with", "new"}
        ]
        for call, targets in unit.uses.calls:
            steps.append((_span(call), self._calling(call, targets, context), call))
        for reference, handed in unit.uses.references:
            if handed in self.colours.awaited and not handed.is_async and handed.name != "__call__":
                steps.append((_span(reference), self._handing(reference, handed, context), reference))
        for read, targets in unit.uses.reads:
            if any(each in self.colours.awaited and not each.is_async for each in targets):
                steps.append((_span(read), self._reading(read, targets, context), read))
        for operation, targets in unit.uses.operators:
            hit = [each for each in targets if each in self.colours.awaited and not each.is_async]
            if hit:
                steps.append((_span(operation), self._operating(operation, hit[0], context), operation))
        if function in self.colours.awaited and not function.is_async:
            blocking = self.threads.calls_of(function)
            steps += [(_span(call), self._blocking(call, context), call) for call in blocking]
        return steps + self._made_and_entered(function, context)

    def _made_and_entered(self, function: Function, context: Context) -> list[Step]:
        """What is to be done where a function makes a session or an engine, enters it, or listens to it."""
        steps: list[Step] = []
        for node in function.own_nodes:
            if isinstance(node, ast.Call):
                kind = kind_of(node, self.facts)
                if kind and node not in self.twins.making:
                    steps.append((_span(node), self._making(node, kind, context), node))
                for session in self.facts.lending.sessions(node):
                    on_sync_session(session, context)
                steps.append((0, partial(refuse_reflection, node, context), node))
                rewrite_handed(node, self.colours.awaited, context)
                rewrite_manager(node, self.colours.awaited, context)
            elif isinstance(node, ast.With):
                waits = self.colours.units[function].uses.waits
                steps.append((0, self._entering(node, waits, context), node))
            elif isinstance(node, ast.AnnAssign):
                rewrite_annotation(node.annotation, context)
            elif isinstance(node, ast.Attribute) and self.facts.is_session_of_state(node):
                rewrite_session_of_state(node, context)
            elif isinstance(node, ast.Name | ast.Attribute) and self._listened_to(node):
                on_sync_engine(node, context)
        return steps

    def _listened_to(self, node: ast.Name | ast.Attribute) -> bool:
        return is_listener(node, self.facts) and self.facts.is_engine(node)

    def _take(self, steps: list[Step], context: Context) -> None:
        """Do what is to be done, the inner before the outer, whose text it becomes part of."""
        for _, step, node in sorted(steps, key=lambda each: each[0]):
            try:
                step()
            except Refusal as refusal:
                context.refuse(node, refusal)

    def _waiting(self, wait: Wait, context: Context) -> Callable[[], None]:
        def step() -> None:
            if wait.chain is not None:
                if wait.waits:
                    make_awaitable(wait.node, context)
                try:
                    rewrite_query(wait.chain, context)
                except Refusal:  # the queries inside stay as they were too
                    context.edits.discard(context.edits.start(wait.node), context.edits.end(wait.node))
                    raise
                context.counts["queries"] += wait.chain.session is not None
            elif wait.kind == "schema" and isinstance(wait.node, ast.Call):
                rewrite_schema(wait.node, context)
            elif wait.kind == "paginate" and isinstance(wait.node, ast.Call):
                rewrite_pagination(wait.node, context)
            else:
                rewrite_wait(wait, context)

        return step

    def _calling(self, call: ast.Call, targets: list[Function], context: Context) -> Callable[[], None]:
        def step() -> None:
            if call in self.unbound.arguments:
                hand_session(call, self.unbound.arguments[call], context)
            rewrite_call(call, targets, self.colours.awaited, context)

        return step

    def _handing(self, node: ast.expr, handed: Function, context: Context) -> Callable[[], None]:
        def step() -> None:
            receiver = self.facts.receiver(node)
            if not isinstance(node, ast.Name | ast.Attribute):
                return
            if receiver in PER_ITEM:
                rewrite_per_item(node, context)
                make_awaitable(node, context)
            elif receiver in SYNC_CALLS - TO_THREAD and handed in self.colours.twins:
                self.twins.write_name(node, self.twins.name(handed), context.edits, context)

        return step

    def _operating(self, node: ast.expr, target: Function, context: Context) -> Callable[[], None]:
        return lambda: rewrite_operator(node, target, context)

    def _reading(self, node: ast.Attribute, targets: list[Function], context: Context) -> Callable[[], None]:
        def step() -> None:
            if any(each.yields for each in targets):
                rewrite_walk(node, context)
                return
            make_awaitable(node, context)
            put_await(node, context)

        return step

    def _blocking(self, call: ast.Call, context: Context) -> Callable[[], None]:
        def step() -> None:
            rewrite_blocking(call, self.threads, context)
            context.counts["threads"] += 1

        return step

    def _making(self, call: ast.Call, kind: str, context: Context) -> Callable[[], None]:
        def step() -> None:
            rewrite_factory(call, kind, context, self.drivers)
            context.counts[kind] += 1

        return step

    def _entering(self, node: ast.With, waits: Iterable[Wait], context: Context) -> Callable[[], None]:
        entered = {wait.node for wait in waits if wait.kind == "with"}
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call):
                for target in self.facts.targets(call):
                    manager = target in self.colours.awaited and target.yields
                    if manager or (target.cls is not None and self._enters(target.cls)):
                        entered.add(call)
        asynchronous = [item.context_expr for item in node.items if item.context_expr in entered]

        def step() -> None:
            if asynchronous:
                rewrite_with(node, asynchronous, context)

        return step

    def _enters(self, cls: Class) -> bool:
        """Whether entering an object of a class became asynchronous."""
        for base, _ in self.facts.inference.bases(cls):
            if (
                base.methods.get("__enter__") in self.colours.awaited
                or base.methods.get("__exit__") in self.colours.awaited
            ):
                return True
        return False


def _span(node: ast.expr) -> int:
    """How much source an expression covers, longer for what is around it."""
    return (node.end_lineno or 0) * 10000 + (node.end_col_offset or 0) - node.lineno * 10000 - node.col_offset


__all__ = ["Functions"]
