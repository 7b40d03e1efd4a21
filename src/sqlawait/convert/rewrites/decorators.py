"""Decorators of the code base: a wrapper awaits the coroutine function that it has come to wrap.

Where a decorator also wraps functions that stay sync, it gets a wrapper for each kind.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Function
from sqlawait.analysis.flow import block_of
from sqlawait.convert.colours import Colours
from sqlawait.convert.context import Context, Refusal
from sqlawait.convert.edits import Edits
from sqlawait.convert.facts import Facts

from .awaits import make_awaitable, put_await


@dataclass
class Wrapper:
    """What a decorator returns in place of a function."""

    function: Function
    param: str
    """What the wrapper calls the function that it wraps."""
    wrapped: set[Function] = field(default_factory=set)

    @property
    def calls(self) -> list[ast.Call]:
        """Where it calls that function."""
        return [
            node
            for node in self.function.own_nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == self.param
        ]


def find_wrappers(facts: Facts, colours: Colours) -> list[Wrapper]:
    """The sync wrappers of the code base around functions that become async."""
    found: dict[Function, Wrapper] = {}
    wrapped: dict[Function, set[Function]] = defaultdict(set)
    for function in facts.project.functions:
        for decorator in function.decorators:
            inner = facts.inference.decorating.wrapper(decorator)
            outer = inner.outer if inner is not None else None
            if inner is None or outer is None or inner.is_async or not outer.positional:
                continue
            found[inner] = Wrapper(inner, outer.positional[0].arg, wrapped[inner])
            wrapped[inner].add(function)
    return [
        each
        for each in found.values()
        if each.calls
        and not each.function.yields
        and any(
            one in colours.awaited and not one.is_async and not one.yields and one.name != "__init__"
            for one in each.wrapped
        )
    ]


def rewrite_wrapper(wrapper: Wrapper, colours: Colours, context: Context) -> None:
    """Let a wrapper await what it wraps."""
    function = wrapper.function
    both = any(each not in colours.awaited or each in colours.twins for each in wrapper.wrapped)
    if both and function in colours.awaited:
        reason = f"{function.qualname} waits, and wraps functions that became async and others that did not"
        context.refuse(function.own_nodes[0], Refusal("SAW908", reason))
    if function in colours.awaited or not both:
        if function not in colours.awaited:
            _make_async(function, context.edits)
        _await(wrapper, context)
    elif not _tells_apart(function):
        _branch(wrapper, context)


def _make_async(function: Function, edits: Edits) -> None:
    assert isinstance(function.node, ast.FunctionDef)
    start = edits.start(function.node)
    edits.replace(start, start, "async ")


def _await(wrapper: Wrapper, context: Context) -> None:
    for call in wrapper.calls:
        make_awaitable(call, context)
        put_await(call, context)


def _tells_apart(function: Function) -> bool:
    """Whether the decorator asks what kind of function it is given already."""
    return function.outer is not None and any(
        isinstance(node, ast.Name | ast.Attribute) and "iscoroutinefunction" in ast.unparse(node)
        for node in function.outer.own_nodes
    )


def _branch(wrapper: Wrapper, context: Context) -> None:
    """Put a wrapper for coroutine functions above the one that there is."""
    node, facts = wrapper.function.node, context.facts
    parent = facts.parent(node)
    assert isinstance(node, ast.FunctionDef)
    assert parent is not None
    block = block_of(parent, node)
    last = next((each for each in block[block.index(node) :] if isinstance(each, ast.Return)), None)
    if last is None:
        return
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    copy = Context(context.module, facts, Edits(context.module.source))
    _make_async(wrapper.function, copy.edits)
    _await(wrapper, copy)
    copy.edits.indent(first, last.end_lineno or last.lineno)
    text = copy.edits.apply(copy.edits.offset(first, 0), copy.edits.end(last))
    indent = context.edits.indent_of(first)
    ask = f"{context.need('inspect', 'iscoroutinefunction')}({wrapper.param})"
    context.edits.insert_line(first, f"{indent}if {ask}:\n\n{text}\n\n")


__all__ = ["Wrapper", "find_wrappers", "rewrite_wrapper"]
