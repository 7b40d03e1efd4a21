"""What decorators of the code base do to the calls of what they decorate.

A wrapper may put arguments of its own before the caller's (``function(session, *args, **kwargs)``), or hand
the function to a thread instead of running it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .declarations import Function
from .types import Type, members

if TYPE_CHECKING:
    from .inference import Inference


@dataclass(frozen=True, slots=True)
class Passage:
    """How a call comes through a wrapper to the function behind it."""

    wrapper: Function
    before: tuple[ast.expr, ...] = ()
    """Arguments that the wrapper puts before the caller's, after ``self``."""
    keywords: tuple[ast.keyword, ...] = ()
    """Keyword arguments that the wrapper adds."""
    runs: bool = True
    """Whether the wrapper itself runs the function, and does not only hand it on."""


class Decorating:
    """Looks through decorators."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._passages: dict[Function, Passage | None] = {}

    def passage(self, function: Function) -> Passage | None:
        """The way through the outermost decorator of the code base; None where there is none."""
        if not function.decorators or function.module.stub:
            return None
        if function not in self._passages:
            self._passages[function] = None  # what a decorator that decorates itself would see
            self._passages[function] = self._find(function)
        return self._passages[function]

    def wrapper(self, decorator: ast.expr) -> Function | None:
        """The function that a decorator returns in place of the decorated one."""
        called = isinstance(decorator, ast.Call)
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        for each in members(self.inference.type_of(target)):
            if each.kind == "function" and isinstance(each.decl, Function) and not each.decl.module.stub:
                found = self._returned(each.decl, nested=called)
                if found is not None:
                    return found
        return None

    def _returned(self, decorator: Function, *, nested: bool) -> Function | None:
        for value in decorator.returns:
            for each in members(self.inference.type_of(value)):
                if each.kind == "function" and isinstance(each.decl, Function) and each.decl.outer is decorator:
                    return self._returned(each.decl, nested=False) if nested else each.decl
        return None

    def _find(self, function: Function) -> Passage | None:
        for decorator in function.decorators:
            wrapper = self.wrapper(decorator)
            if wrapper is not None and wrapper.outer is not None and wrapper.outer.positional:
                return self._through(wrapper, wrapper.outer.positional[0].arg)
        return None

    def _through(self, wrapper: Function, name: str) -> Passage:
        calls = [
            node
            for node in wrapper.own_nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        ]
        if (
            not calls
        ):  # a coroutine hands a plain function to a thread; what else takes it is thought to call it
            return Passage(wrapper, runs=not wrapper.is_async)
        own = [each.arg for each in wrapper.positional]
        added = [
            each
            for each in calls[0].args
            if not isinstance(each, ast.Starred) and not (isinstance(each, ast.Name) and each.id in own)
        ]
        passed_on = any(isinstance(each, ast.Starred) for each in calls[0].args)
        keywords = tuple(each for each in calls[0].keywords if each.arg is not None and each.arg not in own)
        return Passage(wrapper, tuple(added) if passed_on else (), keywords)


def injected(inference: Inference, passage: Passage) -> Type | None:
    """The type of the argument that a wrapper puts before the caller's."""
    return inference.type_of(passage.before[0]) if passage.before else None


__all__ = ["Decorating", "Passage", "injected"]
