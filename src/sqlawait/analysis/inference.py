"""What every expression is, inferred from the source alone.

Types are worked out on demand and remembered. Parameters without an annotation get what their callers pass,
FastAPI's dependencies included; results without one get what the function returns. Annotations are believed,
and sharpened with what callers say about where a session or a row came from.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from .annotations import Annotations
from .attributes import Attributes
from .calling import Calling
from .declarations import Binding, Class, Function, Module, last_name
from .decorating import Decorating
from .expressions import Expressions
from .fixtures import Fixtures
from .injection import Injection
from .models import Models
from .names import Names
from .project import Project
from .types import NONE, UNKNOWN, Type, external, instance, members, substitute, union

MAX_DEPTH = 90
"""How many questions may wait for one another; past it the answer is "unknown"."""
MAX_AGAIN = 2
"""How often what stayed unknown within a circle is asked again when the circle is closed."""


class TypeSource(Protocol):
    """Another opinion on types, asked where the inference here finds nothing."""

    def type_of(self, node: ast.expr, module: Module) -> Type:
        """The type of an expression, or unknown."""
        ...


class Inference:
    """Types of expressions, bindings, parameters and results."""

    def __init__(self, project: Project, source: TypeSource | None = None) -> None:
        self.project = project
        self.source = source
        self.names = Names(project)
        self.annotations = Annotations(self)
        self.models = Models(self)
        self.attributes = Attributes(self)
        self.expressions = Expressions(self)
        self.calling = Calling(self)
        self.decorating = Decorating(self)
        self.injection = Injection(self)
        self.fixtures = Fixtures(self)
        self._memo: dict[tuple[str, object], Type] = {}
        self._active: dict[tuple[str, object], int] = {}
        self._cut = MAX_DEPTH + 1
        self._tries: dict[tuple[str, object], int] = {}
        self._given_up: list[tuple[str, object]] = []
        self._again: dict[tuple[str, object], int] = {}

    # -- questions

    def type_of(self, node: ast.expr) -> Type:
        """The type of an expression where it stands."""
        return self._once(("type", node), lambda: self._expression(node))

    def binding_type(self, binding: Binding) -> Type:
        """The type of what a binding gives its name."""
        return self._once(("binding", binding), lambda: self._binding(binding))

    def param_type(self, function: Function, param: ast.arg) -> Type:
        """The type of a parameter: annotation, dependency, callers, default."""
        return self._once(("param", param), lambda: self._param(function, param))

    def result_of(self, function: Function) -> Type:
        """What calling a function gives, a coroutine or generator included; in its class's own type
        variables."""
        return self._once(("result", function), lambda: self._result(function))

    def yielded_by(self, function: Function) -> Type:
        """What a generator yields."""
        return self._once(("yield", function), lambda: self._yielded(function))

    def class_type(self, cls: Class) -> Type:
        """The class itself as a value."""
        return Type("class", cls.id, (), cls)

    def function_type(self, function: Function, bound: Type | None = None) -> Type:
        """The function itself as a value."""
        return Type("function", function.id, (bound,) if bound is not None else (), function)

    def instance_of(self, cls: Type) -> Type:
        """An object of a class."""
        if cls.kind == "class":
            return cls.args[0] if not cls.name and cls.args else replace(cls, kind="instance")
        if cls.kind == "union":
            return union(self.instance_of(each) for each in cls.args)
        if cls.kind == "external":
            return external(f"{cls.name}()")
        return UNKNOWN

    def class_of(self, one: Type) -> Type:
        """The class of an object, as a value."""
        if one.kind == "instance" and one.decl is not None:
            return replace(one, kind="class", origin=None)
        return Type("class", "", (one,)) if one.known else UNKNOWN

    def bases(self, cls: Class) -> list[tuple[Class, dict[str, Type]]]:
        """The class and its bases in the order attributes are looked up, each with its type variables'
        values."""
        return self.attributes.mro(cls)

    def is_a(self, of: Type, name: str) -> bool:
        """Whether a class or an object of it is, or derives from, the class of that dotted name."""
        if of.kind not in ("instance", "class"):
            return False
        if of.name == name:
            return True
        return isinstance(of.decl, Class) and any(base.id == name for base, _ in self.bases(of.decl))

    def iterated(self, of: Type) -> Type:
        """What a ``for`` over it gives."""
        return union(self.item(each) for each in members(of))

    def entered(self, of: Type) -> Type:
        """What ``with … as`` over it gives."""
        return union(self._entered(each) for each in members(of))

    def awaited(self, of: Type) -> Type:
        """What ``await`` gives."""
        return union(self._awaited(each) for each in members(of))

    def guarded(self, key: tuple[str, object], compute: Callable[[], Type]) -> Type:
        """Compute once, and give "unknown" where an answer would depend on itself."""
        return self._once(key, compute)

    @property
    def busy(self) -> bool:
        """Whether an answer is being worked out: what is found meanwhile may be incomplete."""
        return bool(self._active)

    # -- machinery

    def _once(self, key: tuple[str, object], compute: Callable[[], Type]) -> Type:
        found = self._memo.get(key)
        if found is not None:
            return found
        depth = self._active.get(key)
        if depth is not None or len(self._active) > MAX_DEPTH:
            self._cut = min(self._cut, depth if depth is not None else 0)
            return UNKNOWN
        depth = self._active[key] = len(self._active)
        try:
            answer = compute()
        finally:
            del self._active[key]
        if self._cut >= depth:
            self._cut = MAX_DEPTH + 1
            self._memo[key] = answer
        else:
            # Part of a circle that is still open: the answer may be incomplete, so it is asked again, a few
            # times.
            tries = self._tries[key] = self._tries.get(key, 0) + 1
            if tries > 3:
                self._memo[key] = answer
                if not answer.known:
                    self._given_up.append(key)
        if not self._active and self._given_up:
            self._forget_given_up()
        return answer

    def _forget_given_up(self) -> None:
        """Let what stayed unknown within a circle be asked again on its own, a few times."""
        for key in self._given_up:
            again = self._again[key] = self._again.get(key, 0) + 1
            if again <= MAX_AGAIN and key in self._memo:
                del self._memo[key]
                self._tries[key] = 0
        self._given_up.clear()

    def _expression(self, node: ast.expr) -> Type:
        found = self.expressions.of(node)
        if self.source is not None and (not found.known or found.kind == "external"):
            revealed = self.source.type_of(node, self.project.module_of(node))
            return revealed if revealed.known else found
        return found

    def definition_type(self, node: ast.expr) -> Type:
        """The type of what a name or dotted name stands for."""
        return union(self._definition(each) for each in self.names.definitions(node))

    def _definition(self, definition: Binding | Module | str) -> Type:
        if isinstance(definition, str):
            return external(definition)
        if isinstance(definition, Module):
            return Type("module", definition.name, (), definition)
        return self.binding_type(definition)

    def module_member(self, module: Module, name: str) -> Type:
        """The type of ``module.name``."""
        return union(self._definition(each) for each in self.names.member(module, name))

    # -- bindings

    def _binding(self, binding: Binding) -> Type:
        node, collected = binding.node, self.project.collected
        if node in collected.classes:
            return self.class_type(collected.classes[node])
        if node in collected.functions:
            return self.function_type(collected.functions[node])
        if isinstance(node, ast.alias):
            return union(self._definition(each) for each in self.names.follow(binding))
        if binding.kind == "param":
            assert isinstance(node, ast.arg)
            function = collected.functions[binding.scope.node]
            return self.param_type(function, node)
        return self._value(binding)

    def _value(self, binding: Binding) -> Type:
        node, value = binding.node, binding.value
        declared = self.annotations.type_of(node.annotation) if isinstance(node, ast.AnnAssign) else UNKNOWN
        if value is None:
            return declared
        if binding.kind == "except":
            return self.instance_of(self.type_of(value))
        found = self.type_of(value)
        if binding.kind == "for":
            found = self.iterated(found)
        elif binding.kind == "with":
            found = self.entered(found)
        for index in binding.path:
            found = self._unpacked(found, index)
        return self.refine(declared, found)

    def _unpacked(self, of: Type, index: int) -> Type:
        found = []
        for each in members(of):
            if each.name in ("tuple", "sqlalchemy.Row"):
                if index < len(each.args):
                    found.append(each.args[index])
            else:
                found.append(self.item(each))
        return union(found)

    def refine(self, declared: Type, actual: Type) -> Type:
        """The declared type, with what the actual one knows beyond it: where rows and sessions came from."""
        if not declared.known:
            return actual
        if not actual.known or declared.kind == "external":
            return declared if declared.kind != "external" or not self._concrete(actual) else actual
        fitting = [each for each in members(actual) if any(self._fits(one, each) for one in members(declared))]
        if not fitting:
            return declared
        return union([*fitting, *([NONE] if declared.kind == "union" and NONE in declared.args else [])])

    def _concrete(self, of: Type) -> bool:
        return any(each.kind == "instance" and each.decl is not None for each in members(of))

    def _fits(self, declared: Type, actual: Type) -> bool:
        if declared.kind == "typevar":
            return actual.kind == "typevar" and actual.name == declared.name
        if declared.name == "Callable" and actual.kind == "function":
            return True
        if declared.kind != actual.kind or not self.is_a(actual, declared.name):
            return False
        pairs = zip(declared.args, actual.args, strict=False)
        return all(
            any(self._fits(d, a) for d in members(left) for a in members(right))
            for left, right in pairs
            if left.known
        )

    # -- parameters and results

    def _param(self, function: Function, param: ast.arg) -> Type:
        spec = function.node.args
        if function.cls is not None and not function.is_static and function.positional[:1] == [param]:
            return self._self(function)
        declared = self.annotations.type_of(param.annotation)
        if param is spec.vararg:
            return instance("list", declared)
        if param is spec.kwarg:
            return instance("dict", instance("str"), declared)
        dependency = self.injection.dependency_of(function, param)
        if dependency is not None:
            provided = self.injection.provided(dependency)
            return (
                provided if self._concrete(provided) and not self._contradicts(declared, provided) else declared
            )
        if declared.known and not self._traceable(declared):
            return declared
        passed = union(self.calling.passed(function, param))
        if declared.known:
            return self.refine(declared, passed)
        if not passed.known:
            passed = self.fixtures.type_of(function, param.arg)
        default = function.defaults.get(param.arg)
        return union([passed, self.type_of(default) if default is not None else UNKNOWN])

    def _contradicts(self, declared: Type, provided: Type) -> bool:
        """Whether an annotation names a class of the code base that the dependency's value is not."""
        wanted = [
            each for each in members(declared) if isinstance(each.decl, Class) and not each.decl.module.stub
        ]
        return bool(wanted) and not any(self.is_a(p, w.name) for w in wanted for p in members(provided))

    def _traceable(self, of: Type) -> bool:
        """Whether callers can say more than the annotation: of rows, sessions, functions and what holds
        them."""
        for each in members(of):
            if each.kind in ("typevar", "external") or each.name in ("Callable", "Coroutine"):
                return True
            if isinstance(each.decl, Class) and (each.decl.module.stub or self.models.is_model(each.decl)):
                return True
            if each.args and any(self._traceable(arg) for arg in each.args):
                return True
        return False

    def _self(self, function: Function) -> Type:
        assert function.cls is not None
        variables = tuple(Type("typevar", name) for name in self.attributes.variables(function.cls))
        kind = (
            "class" if "classmethod" in function.decorator_names or function.name == "__new__" else "instance"
        )
        return Type(kind, function.cls.id, variables, function.cls)  # type: ignore[arg-type]  # a Literal, joined

    def _yielded(self, function: Function) -> Type:
        found = []
        for node in function.yields:
            if isinstance(node, ast.YieldFrom):
                found.append(self.iterated(self.type_of(node.value)))
            elif node.value is not None:
                found.append(self.type_of(node.value))
        inferred = union(found)
        declared = self.declared_result(function)
        inner = union(each.args[0] for each in members(declared) if each.args)
        return self.refine(inner, inferred)

    def declared_result(self, function: Function) -> Type:
        """What the annotation of the result says."""
        returns = None if isinstance(function.node, ast.Lambda) else function.node.returns
        return self.annotations.type_of(returns)

    def _result(self, function: Function) -> Type:
        names = function.decorator_names
        if function.yields:
            kind = "AsyncGenerator" if function.is_async else "Generator"
            if names & {"contextmanager", "asynccontextmanager"}:
                kind = "AsyncContextManager" if function.is_async else "ContextManager"
            return instance(kind, self.yielded_by(function))
        declared = self.declared_result(function)
        if (declared.known and not self._traceable(declared)) or function.module.stub:
            found = declared
        else:
            found = self.refine(declared, union(self.type_of(each) for each in function.returns))
            if self._may_be_any(function) and found.kind == "union":
                found = UNKNOWN
        return instance("Coroutine", found) if function.is_async else found

    def _may_be_any(self, function: Function) -> bool:
        """Whether a function is declared to give anything: of several kinds none is meant more than others."""
        returns = None if isinstance(function.node, ast.Lambda) else function.node.returns
        return returns is not None and last_name(returns) == "Any"

    # -- protocols

    def item(self, of: Type) -> Type:
        """What iterating over one thing gives, an index into it or a ``for``."""
        if of.name in ("list", "Generator", "AsyncGenerator", "dict") and of.args:
            return of.args[0]
        if of.name in ("tuple", "sqlalchemy.Row"):
            return union(of.args)
        if isinstance(of.decl, Class) and of.kind == "instance":
            for name in ("__iter__", "__aiter__", "__getitem__"):
                method = self.attributes.of(of, name)
                if method.kind == "function":
                    found = self.calling.apply(method)
                    return found if name == "__getitem__" else self._stepped(found)
        if of.kind == "external":
            return external(f"{of.name}[]")
        return UNKNOWN

    def _stepped(self, iterator: Type) -> Type:
        """What an iterator gives: of a class of the code base, what its ``__next__`` returns."""
        for name in ("__next__", "__anext__"):
            method = self.attributes.of(iterator, name)
            if method.kind == "function":
                return self.awaited(self.calling.apply(method))
        return self.item(iterator) if not isinstance(iterator.decl, Class) else UNKNOWN

    def _entered(self, of: Type) -> Type:
        if of.name in ("ContextManager", "AsyncContextManager", "Generator", "AsyncGenerator"):
            return of.args[0] if of.args else UNKNOWN
        if isinstance(of.decl, Class):
            for name in ("__aenter__", "__enter__"):
                method = self.attributes.of(of, name)
                if method.kind == "function":
                    found = (
                        self.awaited(self.calling.apply(method))
                        if name == "__aenter__"
                        else self.calling.apply(method)
                    )
                    return found if found.known else of
        return self._awaited(of)

    def _awaited(self, of: Type) -> Type:
        if of.name == "Coroutine":
            return of.args[0] if of.args else UNKNOWN
        return of

    def with_arguments(self, of: Type, environment: dict[str, Type]) -> Type:
        """The type with type variables replaced, and SQLAlchemy's rows and first columns worked out."""
        return self.calling.normal(substitute(of, environment))


__all__ = ["Inference", "TypeSource"]
