"""Where sync code begins or has to stay: functions that a library calls and does not await."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from sqlawait.analysis.declarations import Function, Module, last_name
from sqlawait.analysis.types import members

from .facts import Facts
from .kinds import kind_of
from .lending import BARRIER_BASES
from .operators import METHODS, may_be_method
from .rewrites.constructors import may_be_created

BARRIERS = {
    "task", "shared_task", "periodic_task", "actor", "command", "callback", "listens_for", "scheduled",
    "job", "receiver", "scheduled_job", "cli", "group", "on_after_configure", "connect",
    "worker_process_init", "template_filter", "app_template_filter", "context_processor", "before_send",
    "compiles", "template_global", "signal", "listens",
}  # fmt: skip
"""Decorators whose function a library calls and does not await: where sync code starts."""
UNAWAITED = {
    "validates", "validator", "field_validator", "root_validator", "model_validator", "field_serializer",
    "computed_field", "model_serializer", "property", "cached_property", "hybrid_property",
    "hybrid_method", "expression", "comparator", "setter", "lru_cache", "cache", "cached", "memoize",
    "declared_attr", "reconstructor", "singledispatch", "validate_call", "alru", "ttl_cache",
}  # fmt: skip
"""Decorators whose function cannot be a coroutine function, whoever calls it."""
ASYNC_DUNDERS = {
    "__call__": "__call__",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
}
SCRIPT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
SCRIPT = re.compile(r"""=\s*["']?([\w.]+):(\w+)""")
"""A command of an installed package: ``name = package.module:function``."""


class Barriers:
    """Tells which functions are called by what cannot await."""

    def __init__(self, facts: Facts, root: Path) -> None:
        self.facts = facts
        self.made: dict[Module, set[str]] = {}
        """The sessions that the top of each module takes out of a function of the code base."""
        self.scripts = {
            f"{module}.{name}"
            for folder in (root, root.parent)
            for file in SCRIPT_FILES
            if (folder / file).is_file()
            for module, name in SCRIPT.findall((folder / file).read_text(encoding="utf-8", errors="replace"))
        }

    def is_script(self, function: Function) -> bool:
        """Whether a function is a command of the package, or belongs to Alembic's environment or the like."""
        if any(function.id == each or function.id.endswith(f".{each}") for each in self.scripts):
            return True
        return function.module.path.name == "env.py" or "versions" in function.module.path.parts

    def _is_on_made_session(self, function: Function) -> bool:
        """Whether a function works on a session that code at import has made, where nothing can be awaited."""
        module = function.module
        if module not in self.made:
            self.made[module] = {
                name
                for name, bindings in module.scope.bindings.items()
                for each in bindings
                if isinstance(each.value, ast.Call)
                and not kind_of(each.value, self.facts)
                and self.facts.is_session(each.value)
            }
        return any(
            isinstance(node, ast.Name)
            and node.id in self.made[module]
            and any(each.scope is module.scope for each in self.facts.inference.names.reaching(node))
            for node in (function.own_nodes if self.made[module] else ())
        )

    def is_barrier(self, function: Function) -> bool:
        """Whether a library calls the function and does not await it: sync code starts here."""
        if function.is_async or function in self.facts.inference.injection.routes:
            return False
        if self.is_script(function) or self._is_on_made_session(function):
            return True
        if any(_name(decorator) in BARRIERS for decorator in function.decorators):
            return True
        if function.cls is not None and function.name != "__init__":
            outside = {
                name.rpartition(".")[2] for name in self.facts.inference.attributes.outside_bases(function.cls)
            }
            return bool(outside & BARRIER_BASES)
        return False

    def cannot_await(self, function: Function) -> bool:
        """Whether a function cannot become a coroutine function, though async code may reach it."""
        if function.is_async:
            return False
        if any(_name(decorator) in UNAWAITED for decorator in function.decorators):
            return not self._may_be_awaited(function)
        if self.is_barrier(function) and function.cls is not None:
            return True
        if function.name == "__init__":
            return not may_be_created(function, self.facts)
        if function.name in METHODS:
            return not may_be_method(function, self.facts)
        special = function.name.startswith("__") and function.name.endswith("__")
        return function.cls is not None and special and function.name not in ASYNC_DUNDERS

    def _may_be_awaited(self, function: Function) -> bool:
        """Whether a property may give a coroutine: every place that reads it is in sight, and can await it."""
        cls = function.cls
        if function.decorator_names != {"property"} or cls is None or self.facts.inference.models.is_model(cls):
            return False
        if self.facts.inference.attributes.outside_bases(cls):
            return False
        for node in self.facts.project.collected.attribute_reads.get(function.name, ()):
            if not isinstance(node.ctx, ast.Load) or not list(members(self.facts.type_of(node.value))):
                return False
        return True


def _name(decorator: ast.expr) -> str:
    return last_name(decorator.func if isinstance(decorator, ast.Call) else decorator)


__all__ = ["BARRIERS", "Barriers"]
