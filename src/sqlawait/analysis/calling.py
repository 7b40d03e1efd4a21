"""What calls give, which argument reaches which parameter, and who calls a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .declarations import Class, Function, Module, last_name
from .decorating import injected as put_before
from .loading import resolved
from .special import SPECIAL, expiry, new_row, stamped
from .types import UNKNOWN, Type, external, instance, members, rewrite, substitute, unify, union

if TYPE_CHECKING:
    from .inference import Inference

HANDED_ON: dict[str, int] = {
    "functools.partial": 0, "asyncio.to_thread": 0, "fastapi.concurrency.run_in_threadpool": 0,
    "starlette.concurrency.run_in_threadpool": 0, "anyio.to_thread.run_sync": 0, "asyncer.asyncify": 0,
    "builtins.map": 0, "builtins.filter": 0,
}  # fmt: skip
"""Functions that take a function and its arguments: where the function stands."""
HANDING_METHODS = {
    "add_task": 0,
    "run_in_executor": 1,
    "submit": 0,
    "call_soon": 0,
    "call_later": 1,
    "start_soon": 0,
}
SESSION_FIRST = {"run_sync"}
"""Methods that call the function with a sync session or connection before the arguments given."""


@dataclass(frozen=True, slots=True)
class Use:
    """A call that reaches a function, with its arguments."""

    call: ast.Call
    function: Function
    args: tuple[ast.expr, ...]
    keywords: tuple[ast.keyword, ...]
    bound: bool
    """The first parameter is filled by the object that the function was taken from."""
    injected: Type | None = None
    """What the caller puts before the arguments."""
    handed_on: bool = False
    """The call does not run the function itself: it hands it to something that will."""

    def argument(self, param: ast.arg) -> ast.expr | None:
        """The expression that reaches a parameter; None where it has its default or cannot be told."""
        for keyword in self.keywords:
            if keyword.arg == param.arg:
                return keyword.value
        positional = self.function.positional
        if param not in positional:
            return None
        index = positional.index(param) - self.bound - (self.injected is not None)
        if index < 0 or any(isinstance(each, ast.Starred) for each in self.args[: index + 1]):
            return None
        return self.args[index] if index < len(self.args) else None


class Calling:
    """Results of calls, and their arguments."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._targets: dict[ast.Call, list[Use]] = {}

    # -- results

    def result(self, call: ast.Call) -> Type:
        """The type of a call."""
        callee = self.inference.type_of(call.func)
        return union(self.apply(each, call) for each in members(callee))

    def apply(self, callee: Type, call: ast.Call | None = None) -> Type:
        """What calling something gives; ``call`` has the arguments where there is a call to look at."""
        name = callee.name
        if callee.kind in ("external", "function", "class") and call is not None:
            special = SPECIAL.get(name) or (
                SPECIAL.get(name.rpartition(".")[2] + "()") if callee.args else None
            )
            if special is not None:
                found = special(self.inference, call, callee)
                if found is not None:
                    return found
        if callee.kind == "external":
            return external(f"{name}()")
        if callee.kind == "function" and isinstance(callee.decl, Function):
            return self._function(callee, callee.decl, call)
        if callee.kind == "class":
            return self._construct(callee, call)
        if callee.kind == "instance":
            return self._object(callee, call)
        return UNKNOWN

    def _function(self, callee: Type, function: Function, call: ast.Call | None) -> Type:
        inference = self.inference
        result = inference.result_of(function)
        owner = callee.args[0] if callee.args else None
        if function.decorators and not function.module.stub:
            result = self._decorated(function, result)
        environment: dict[str, Type] = {}
        if owner is not None and function.cls is not None:
            environment.update(inference.attributes.environment(owner, function.cls))
        if call is not None and _generic(result):
            learned: dict[str, Type] = {}
            self._learn(function, call, owner is not None, learned)
            for name, of in learned.items():
                # an argument knows more than the class's own type variable: where the row came from
                environment[name] = inference.refine(environment.get(name, UNKNOWN), of)
        found = self.normal(substitute(result, environment))
        if owner is not None and call is not None and not function.module.stub and not _by_itself(call):
            found = resolved(inference, found, owner)
        if function.module.stub and owner is not None and call is not None:
            found = stamped(inference, call, function, owner, found)
        return found

    def _decorated(self, function: Function, result: Type) -> Type:
        """What decorators of the code base make of the result: a coroutine, where the wrapper is one."""
        for decorator in function.decorators:
            wraps = self.inference.decorating.wrapper(decorator)
            if wraps is not None and wraps.is_async and not function.is_async and not function.yields:
                result = instance("Coroutine", result)
        return result

    def _learn(self, function: Function, call: ast.Call, bound: bool, environment: dict[str, Type]) -> None:
        use = Use(call, function, tuple(call.args), tuple(call.keywords), bound)
        for param in function.params:
            argument = use.argument(param)
            if argument is not None and param.annotation is not None:
                pattern = self.inference.annotations.type_of(param.annotation)
                if _generic(pattern):
                    unify(pattern, self.inference.type_of(argument), environment)

    def _construct(self, cls: Type, call: ast.Call | None) -> Type:
        inference = self.inference
        if cls.decl is None or not isinstance(cls.decl, Class):
            return inference.instance_of(cls)
        args = cls.args
        variables = inference.attributes.variables(cls.decl)
        if variables and not args and call is not None:
            environment: dict[str, Type] = {}
            for base, values in inference.bases(cls.decl):
                if "__init__" in base.methods:
                    learned: dict[str, Type] = {}
                    self._learn(base.methods["__init__"], call, True, learned)
                    for name in variables:
                        source = next((k for k, v in values.items() if v == Type("typevar", name)), name)
                        environment[name] = learned.get(source, UNKNOWN)
                    break
            args = tuple(environment.get(name, UNKNOWN) for name in variables)
        if inference.models.is_model(cls.decl):
            return new_row(inference, call, cls) if call is not None else inference.instance_of(cls)
        found = Type("instance", cls.name, args, cls.decl)
        return expiry(inference, call, found) if call is not None else found

    def _object(self, callee: Type, call: ast.Call | None) -> Type:
        inference = self.inference
        if callee.name in ("partial", "Callable"):
            made_by = callee.args[0]
            plain = callee.name == "Callable" or made_by.name == "returns"
            return (made_by.args[0] if made_by.name == "returns" else made_by) if plain else self.apply(made_by)
        method = inference.attributes.of(callee, "__call__")
        found = self.apply(method, call) if method.known else UNKNOWN
        if callee.args and found == callee.args[0] and call is not None:
            return expiry(inference, call, found)  # a session factory's own options
        return found

    def normal(self, of: Type) -> Type:
        """SQLAlchemy's rows worked out: the first column of a row, the row of a row, the class of an object."""

        def change(each: Type) -> Type:
            if each.name == "sqlalchemy.First" and each.args:
                inner = each.args[0]
                return inner.args[0] if inner.name == "sqlalchemy.Row" and inner.args else inner
            if each.name == "sqlalchemy.Row" and len(each.args) == 1 and each.args[0].name == "sqlalchemy.Row":
                return each.args[0]
            if each.kind == "class" and not each.name and each.args and each.args[0].decl is not None:
                return replace(each.args[0], kind="class", origin=None)
            return each

        return rewrite(of, change) if of.args else of

    # -- callers

    def passed(self, function: Function, param: ast.arg) -> Iterator[Type]:
        """The types that callers pass for a parameter."""
        for use in self.uses(function):
            if use.injected is not None and param in function.positional[int(use.bound) : int(use.bound) + 1]:
                yield use.injected
                continue
            argument = use.argument(param)
            if argument is not None:
                yield self.inference.type_of(argument)
        if isinstance(function.node, ast.Lambda):
            yield from self._called_back(function, param)

    def uses(self, function: Function) -> Iterator[Use]:
        """The calls that reach a function, directly or handed on to be called."""
        project = self.inference.project
        names = {function.name}
        if function.cls is not None and function.name in ("__init__", "__call__"):
            family = [function.cls, *self.inference.attributes.subclasses(function.cls)]
            names |= {each.name for each in family} | {"cls"}
        elif isinstance(function.node, ast.Lambda):
            parent = project.parent(function.node)
            names |= {last_name(each) for each in getattr(parent, "targets", ())}
        seen: set[ast.Call] = set()
        for name in names:
            for call in project.collected.calls.get(name, ()):
                if call not in seen and not self._is_of_argument(call, function):
                    seen.add(call)
                    yield from (use for use in self.targets(call) if use.function is function)

    def _is_of_argument(self, call: ast.Call, function: Function) -> bool:
        """Whether a call names a method of what its function was given, and so not a module's function.

        To tell what is passed for ``db`` where functions called ``delete`` say ``db.delete(row)`` would else
        need the type of ``db`` in each of them.
        """
        if function.cls is not None or function.outer is not None or not isinstance(call.func, ast.Attribute):
            return False
        owner = call.func.value
        while isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute):
            owner = owner.func.value
        if not isinstance(owner, ast.Name) or owner.id in ("self", "cls"):
            return False
        if function.module in self._passed_modules:
            return False
        bindings = self.inference.names.reaching(owner)
        return bool(bindings) and all(each.kind == "param" for each in bindings)

    @cached_property
    def _passed_modules(self) -> set[Module]:
        """The modules that are handed to functions as arguments."""
        found: set[Module] = set()
        for calls in self.inference.project.collected.calls.values():
            for call in calls:
                for each in [*call.args, *(keyword.value for keyword in call.keywords)]:
                    if isinstance(each, ast.Name):
                        named = self.inference.names.definitions(each)
                        found |= {one for one in named if isinstance(one, Module)}
        return found

    def targets(self, call: ast.Call) -> list[Use]:
        """The functions that a call reaches, those that it hands on included."""
        found = self._targets.get(call)
        if found is None:
            found = list(self._uses_of(call))
            if not self.inference.busy:
                self._targets[call] = found
        return found

    def _uses_of(self, call: ast.Call) -> Iterator[Use]:
        for callee in members(self.inference.type_of(call.func)):
            yield from self.reached(callee, call, tuple(call.args), tuple(call.keywords))
            handed = self.handed_on(callee, call)
            if handed is not None:
                target, rest, injected = handed
                for each in members(self.inference.type_of(target)):
                    for use in self.reached(each, call, rest, tuple(call.keywords), injected):
                        yield replace(use, handed_on=True)

    def handed_on(
        self, callee: Type, call: ast.Call
    ) -> tuple[ast.expr, tuple[ast.expr, ...], Type | None] | None:
        """The function that a call hands on, its arguments, and what is put before them."""
        name = last_name(call.func)
        index = HANDED_ON.get(callee.name) if callee.kind == "external" else None
        injected: Type | None = None
        if callee.kind == "external" and callee.name == "anyio.to_thread.run_sync":
            pass
        elif name in SESSION_FIRST and callee.args and isinstance(call.func, ast.Attribute):
            index = 0
            injected = sync_side(self.inference, callee.args[0])
        elif index is None and callee.kind == "external" and name in HANDING_METHODS:
            index = HANDING_METHODS[name]
        elif index is None and callee.kind == "external" and name == "BackgroundTask":
            index = 0
        if index is None or index >= len(call.args):
            return None
        return call.args[index], tuple(call.args[index + 1 :]), injected

    def reached(
        self,
        callee: Type,
        call: ast.Call,
        args: tuple[ast.expr, ...],
        keywords: tuple[ast.keyword, ...],
        injected: Type | None = None,
    ) -> Iterator[Use]:
        """The functions that calling something runs."""
        inference = self.inference
        if callee.kind == "function" and isinstance(callee.decl, Function):
            passage = inference.decorating.passage(callee.decl)
            if passage is None or injected is not None:
                yield Use(call, callee.decl, args, keywords, bool(callee.args), injected)
                return
            put = put_before(inference, passage)
            keywords = (*keywords, *passage.keywords)
            yield Use(call, callee.decl, args, keywords, bool(callee.args), put, not passage.runs)
        elif callee.kind == "class" and isinstance(callee.decl, Class):
            for base, _ in inference.bases(callee.decl):
                if "__init__" in base.methods:
                    yield Use(call, base.methods["__init__"], args, keywords, True, injected)
                    return
        elif callee.name == "partial":
            handed = callee.args[0]
            for each in members(handed.args[1] if handed.name == "returns" and handed.args[1:] else handed):
                yield from self.reached(each, call, args, keywords, injected)
        elif callee.kind == "instance" and isinstance(callee.decl, Class):
            for method in members(inference.attributes.of(callee, "__call__")):
                if isinstance(method.decl, Function):
                    yield Use(call, method.decl, args, keywords, True, injected)

    def _called_back(self, function: Function, param: ast.arg) -> Iterator[Type]:
        """What a lambda's parameter gets from the call that the lambda is handed to."""
        parent = self.inference.project.parent(function.node)
        if not isinstance(parent, ast.Call) or function.node not in parent.args:
            return
        for callee in members(self.inference.type_of(parent.func)):
            if last_name(parent.func) in SESSION_FIRST and callee.args and function.positional[:1] == [param]:
                yield sync_side(self.inference, callee.args[0])
            if callee.name in ("builtins.map", "builtins.filter") and len(parent.args) > 1:
                yield self.inference.iterated(self.inference.type_of(parent.args[1]))


def sync_side(inference: Inference, owner: Type) -> Type:
    """The blocking session or connection that ``run_sync`` hands to the function."""
    sync = (
        "sync_connection" if inference.is_a(owner, "sqlalchemy.ext.asyncio.AsyncConnection") else "sync_session"
    )
    found = inference.attributes.of(owner, sync)
    return replace(found, origin=owner.origin) if found.kind == "instance" else found


def _by_itself(call: ast.Call) -> bool:
    """Whether an object calls its own method: which class it is of is then not known yet."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in ("self", "cls")


def _generic(of: Type, depth: int = 6) -> bool:
    if of.kind == "typevar":
        return True
    return depth > 0 and any(_generic(each, depth - 1) for each in of.args)


__all__ = ["Calling", "Use", "sync_side"]
