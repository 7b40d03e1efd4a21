"""Which session a query runs on, in the words of the code around it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from sqlawait.analysis.declarations import Class, Function, dotted
from sqlawait.analysis.types import members

from .arguments import argument_for
from .classes import SESSION

if TYPE_CHECKING:
    from .facts import Facts


class Sessions:
    """Finds it, from the query or from the place that runs it."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.given: dict[Function, str] = {}
        """Functions that the conversion gives a session, and the name of that parameter."""

    def behind(self, node: ast.expr, depth: int = 0) -> str:
        """The session that a query was made from, as the code around ``node`` can name it."""
        if depth > 8:
            return ""
        while (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and self.facts.is_query(node.func.value)
        ):
            node = node.func.value
        if isinstance(node, ast.Call) and self.facts.is_root(node) and isinstance(node.func, ast.Attribute):
            return dotted(node.func.value)
        if isinstance(node, ast.Call):
            found = {self._translated(node, target, depth) for target in self.facts.targets(node)}
        elif isinstance(node, ast.Name) and self._assigned_here(node):
            found = {self.behind(each, depth + 1) for each in self.facts.sources(node)}
        else:
            return ""
        return found.pop() if len(found) == 1 else ""

    def _assigned_here(self, node: ast.Name) -> bool:
        return all(binding.kind != "param" for binding in self.facts.inference.names.reaching(node))

    def _translated(self, call: ast.Call, target: Function, depth: int) -> str:
        """The session of a function's query, in the words of a call of that function."""
        found = {self.behind(each, depth + 1) for each in target.returns}
        name = found.pop() if len(found) == 1 else ""
        head, _, rest = name.partition(".")
        for index, param in enumerate(target.positional):
            if param.arg != head:
                continue
            if index == 0 and target.cls is not None and not target.is_static:
                receiver = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
                return f"{receiver}.{rest}" if receiver and rest else ""
            argument = argument_for(call, target, param)
            value = dotted(argument) if argument is not None else ""
            return f"{value}.{rest}" if value and rest else value
        for param in target.node.args.kwonlyargs:
            if param.arg == head:
                argument = argument_for(call, target, param)
                return dotted(argument) if argument is not None else ""
        return ""

    def in_reach(self, node: ast.expr) -> str:
        """The one session that a function can name; empty when there is none or more than one."""
        function = self.facts.project.function_of(node)
        found: set[str] = set()
        while function is not None:
            if function in self.given:
                return self.given[function]
            for each in function.own_nodes:
                if (
                    isinstance(each, ast.Name | ast.Attribute)
                    and isinstance(each.ctx, ast.Load)
                    and dotted(each)
                    and self.facts.is_session(each)
                ):
                    found.add(dotted(each))
            for param in function.params:
                if any(
                    self.facts.inference.is_a(each, SESSION)
                    for each in members(self.facts.inference.param_type(function, param))
                ):
                    found.add(param.arg)
            if len(found) == 1:
                return found.pop()
            if found:
                return ""
            if function.cls is not None and function.positional:
                return self._session_attribute(function.cls, function.positional[0].arg)
            function = function.outer
        return ""

    def _session_attribute(self, cls: Class, receiver: str) -> str:
        found: set[str] = set()
        for base, _ in self.facts.inference.bases(cls):
            for name, bindings in base.assigned.items():
                if any(b.value is not None and self.facts.is_session(b.value) for b in bindings):
                    found.add(f"{receiver}.{name}")
        return found.pop() if len(found) == 1 else ""


__all__ = ["Sessions"]
