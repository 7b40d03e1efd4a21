"""Which functions ``--only`` names: by a route's path, a module, a function or a folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sqlawait.analysis.declarations import Binding, Function
from sqlawait.analysis.inference import Inference

from .apply import Refused


def selection(inference: Inference, only: Sequence[str]) -> Callable[[Function], bool] | None:
    """Whether a function is part of the slice; None without one.

    Raises :class:`~sqlawait.convert.apply.Refused` for a name that means nothing in the code base.
    """
    if not only:
        return None
    paths = {function: set(_paths(function, inference)) for function in inference.injection.routes}

    def named(function: Function, name: str) -> bool:
        if name.startswith("/") and function in paths:
            pattern = re.escape(name).replace(r"\*", ".*")
            if any(re.fullmatch(pattern, path) for path in paths[function]):
                return True
        if function.id == name or function.id.endswith(f".{name}"):
            return True
        module = function.module
        if module.name == name or module.name.endswith(f".{name}") or str(module.path).endswith(name):
            return True
        return Path(name).exists() and module.path.is_relative_to(Path(name).resolve())

    for each in only:
        if not any(named(function, each) for function in inference.project.functions):
            raise Refused(f"--only {each} is no route, module, function or folder of this code base")
    return lambda function: any(named(function, each) for each in only)


def _paths(function: Function, inference: Inference) -> Iterator[str]:
    """The paths that a route may be known by: its own, its router's, and where that is included."""
    call = inference.injection.routes[function].decorator
    path = _text(call.args[0] if call.args else None) or _keyword(call, "path")
    yield path
    if not isinstance(call.func, ast.Attribute):
        return
    routers = {d.value for d in inference.names.definitions(call.func.value) if isinstance(d, Binding)}
    for router in routers:
        own = _keyword(router, "prefix") if isinstance(router, ast.Call) else ""
        yield own + path
        for include in inference.project.collected.calls.get("include_router", ()):
            given = include.args[0] if include.args else None
            known = inference.names.definitions(given) if given is not None else []
            if any(isinstance(each, Binding) and each.value is router for each in known):
                yield _keyword(include, "prefix") + own + path


def _keyword(call: ast.Call, name: str) -> str:
    return next((_text(each.value) for each in call.keywords if each.arg == name), "")


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


__all__ = ["selection"]
