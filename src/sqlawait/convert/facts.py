"""What the rewrites ask about an expression, answered from the analysis."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from sqlawait.analysis.declarations import Binding, Class, Function, Module, dotted, last_name
from sqlawait.analysis.inference import Inference
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.project import Project
from sqlawait.analysis.types import Type, members

from .lending import Lending

SESSION = "sqlalchemy.orm.Session"
SCOPED = "sqlalchemy.orm.scoped_session"
MAKER = "sqlalchemy.orm.sessionmaker"
QUERY = "sqlalchemy.orm.Query"
ENGINE = "sqlalchemy.Engine"
CONNECTION = "sqlalchemy.Connection"
ITERATE_FIRST = {
    "list", "tuple", "set", "frozenset", "sorted", "enumerate", "zip", "dict", "any", "all", "sum", "min",
    "max", "iter", "reversed", "extend", "groupby",
}  # fmt: skip
"""Calls that walk through what they are given."""
ITERATE_SECOND = {"map", "filter", "reduce"}
COLUMN_CALLS = {
    "cast", "case", "text", "literal", "literal_column", "label", "distinct", "coalesce", "column",
    "extract", "over", "type_coerce", "tuple_", "exists", "scalar_subquery", "as_scalar", "between",
    "collate", "null", "true", "false", "nullslast", "bindparam", "Bundle", "with_variant", "desc", "asc",
    "if_", "array_agg", "op", "filter",
}  # fmt: skip
SAFE_OPTIONS = {
    "selectinload",
    "lazyload",
    "noload",
    "raiseload",
    "load_only",
    "defer",
    "undefer",
    "defaultload",
    "undefer_group",
}
"""Loader options that never repeat a row."""


class Facts:
    """Answers about one code base."""

    def __init__(self, project: Project, inference: Inference) -> None:
        self.project = project
        self.inference = inference
        self.lending = Lending(self)
        self.given_session: dict[Function, str] = {}
        """Functions that the conversion gives a session, and the name of that parameter."""

    # -- the tree ----------------------------------------------------------------------------------------------

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around this one."""
        return self.project.parent(node)

    def text(self, node: ast.expr) -> str:
        """An expression as code."""
        return ast.unparse(node)

    def needs_parentheses(self, node: ast.expr) -> bool:
        """Whether ``await x`` in the place of a node needs parentheses around it."""
        parent = self.parent(node)
        if isinstance(parent, ast.Attribute | ast.Subscript):
            return parent.value is node
        if isinstance(parent, ast.Call):
            return parent.func is node
        return isinstance(parent, ast.Await) or (
            isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow)
        )

    def is_iterated(self, node: ast.expr) -> bool:
        """Whether a value is walked through where it stands."""
        parent = self.parent(node)
        if isinstance(parent, ast.For | ast.comprehension):
            return parent.iter is node
        if isinstance(parent, ast.YieldFrom):
            return True
        if isinstance(parent, ast.Starred):
            return True
        if isinstance(parent, ast.Compare):
            return node in parent.comparators and any(isinstance(op, ast.In | ast.NotIn) for op in parent.ops)
        if isinstance(parent, ast.Call) and node in parent.args:
            name = last_name(parent.func)
            if isinstance(parent.func, ast.Attribute) and name not in ("extend", "groupby"):
                return False
            return name in ITERATE_FIRST or (name in ITERATE_SECOND and parent.args.index(node) > 0)
        if isinstance(parent, ast.Assign) and parent.value is node:
            return isinstance(parent.targets[0], ast.Tuple | ast.List)
        return False

    def receiver(self, node: ast.AST) -> str:
        """The last name of the call that a function is handed to."""
        parent = self.parent(node)
        while isinstance(parent, ast.keyword | ast.Tuple | ast.List | ast.Starred):
            if isinstance(parent, ast.keyword) and parent.arg in (
                "target",
                "callback",
                "default",
                "onupdate",
                "default_factory",
            ):
                return "target"
            parent = self.parent(parent)
        if isinstance(parent, ast.Call):
            return last_name(parent.func)
        if isinstance(parent, ast.Subscript | ast.Assign):
            target = parent.targets[0] if isinstance(parent, ast.Assign) else parent
            if isinstance(target, ast.Subscript) and last_name(target.value) == "dependency_overrides":
                return "Depends"
        return ""

    # -- types -------------------------------------------------------------------------------------------------

    def type_of(self, node: ast.expr) -> Type:
        """The type of an expression."""
        return self.inference.type_of(node)

    def _is(self, node: ast.expr, *names: str) -> bool:
        return any(
            each.kind == "instance" and any(self.inference.is_a(each, name) for name in names)
            for each in members(self.type_of(node))
        )

    def is_session(self, node: ast.expr) -> bool:
        """Whether it is a sync session, a scoped one included."""
        return self._is(node, SESSION, SCOPED)

    def is_scoped(self, node: ast.expr) -> bool:
        """Whether it is a registry of sessions."""
        return self._is(node, SCOPED)

    def is_maker(self, node: ast.expr) -> bool:
        """Whether calling it makes a session."""
        if self._is(node, MAKER, SCOPED):
            return True
        return any(
            each.kind == "class" and self.inference.is_a(each, SESSION) for each in members(self.type_of(node))
        )

    def is_engine(self, node: ast.expr) -> bool:
        """Whether it is a sync engine."""
        return self._is(node, ENGINE)

    def is_connection(self, node: ast.expr) -> bool:
        """Whether it is a sync connection."""
        return self._is(node, CONNECTION)

    def is_transaction(self, node: ast.expr) -> bool:
        """Whether it is a transaction of a sync session or connection."""
        return self._is(node, "sqlalchemy.Transaction", "sqlalchemy.orm.SessionTransaction")

    def is_session_of_state(self, node: ast.expr) -> bool:
        """Whether it is the session that an object's state names, ``inspect(user).session``."""
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "session"
            and self._is(node.value, "sqlalchemy.orm.InstanceState")
        )

    def is_query(self, node: ast.expr) -> bool:
        """Whether it is a legacy query."""
        return self._is(node, QUERY)

    def is_root(self, node: ast.expr) -> bool:
        """Whether it is ``session.query(…)`` itself."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "query"
            and self.is_session(node.func.value)
        )

    # -- what a query queries ----------------------------------------------------------------------------------

    def entity(self, node: ast.expr) -> str:
        """``entity`` for a whole model, ``column`` for a column or expression, ``unknown``."""
        if isinstance(node, ast.Starred):
            inner = members(self.inference.iterated(self.type_of(node.value)))
            kinds = {self._entity_of(each) for each in inner} - {""}
            return kinds.pop() if len(kinds) == 1 else "unknown"
        kinds = {self._entity_of(each) for each in members(self.type_of(node))} - {""}
        if len(kinds) == 1:
            return kinds.pop()
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in ("aliased", "with_polymorphic"):
                return "entity"
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if name in COLUMN_CALLS or (owner is not None and last_name(owner) == "func"):
                return "column"
            if owner is not None and self.entity(owner) == "column":
                return "column"
        if isinstance(node, ast.Attribute):
            if last_name(node.value) == "c" or self.entity(node.value) == "entity":
                return "column"
            if dotted(node) and node.attr[:1].isupper() and self._is_outside(node):
                return "entity"
        if isinstance(node, ast.Name) and node.id[:1].isupper() and self._is_outside(node):
            return "entity"
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.Subscript):
            return "column"
        return "entity" if self._used_as_model(node) else "unknown"

    def _entity_of(self, of: Type) -> str:
        if of.kind == "class":
            return "entity"
        if of.kind == "external" and of.name.startswith("attribute:"):
            return "column"
        if of.kind == "instance":
            if isinstance(of.decl, Class) and of.name.startswith(
                ("sqlalchemy.Column", "sqlalchemy.orm.Mapped")
            ):
                return "column"
            return "column" if of.name.startswith("sqlalchemy.") else ""
        return ""

    def _is_outside(self, node: ast.expr) -> bool:
        return all(each.kind == "external" for each in members(self.type_of(node)))

    def _used_as_model(self, node: ast.expr) -> bool:
        """Whether the code around takes columns from it or makes objects of it: then it is a model."""
        wanted = ast.dump(node)
        function = self.project.function_of(node)
        nodes = list(
            function.cls.node.body if function and function.cls else [function.node] if function else []
        )
        for tree in nodes:
            for each in ast.walk(tree):
                if (
                    isinstance(each, ast.Attribute)
                    and each.attr not in ("c", "label")
                    and isinstance(each.ctx, ast.Load)
                    and ast.dump(each.value) == wanted
                ):
                    parent = self.parent(each)
                    if isinstance(parent, ast.Compare | ast.Call):
                        return True
                if isinstance(each, ast.Call) and ast.dump(each.func) == wanted:
                    return True
        return False

    def eager(self, node: ast.expr) -> bool:
        """Whether a model joins collections on its own, so that a row may come more than once."""
        for each in members(self.type_of(node)):
            if not isinstance(each.decl, Class):
                continue
            for cls, _ in self.inference.bases(each.decl):
                if cls.module.stub:
                    continue
                for call in ast.walk(cls.node):
                    if isinstance(call, ast.Call) and last_name(call.func) in (
                        "relationship",
                        "Relationship",
                        "backref",
                    ):
                        for keyword in ast.walk(call):
                            if isinstance(keyword, ast.keyword) and keyword.arg == "lazy":
                                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else "?"
                                if value in ("joined", False, "?"):
                                    return True
                            if isinstance(keyword, ast.Constant) and keyword.value == "joined":
                                return True
        return False

    def relationship(self, node: ast.expr) -> Relationship | None:
        """The relationship that ``Model.name`` names."""
        if isinstance(node, ast.Attribute):
            for each in members(self.type_of(node.value)):
                found = (
                    self.inference.models.relationship(each.decl, node.attr) if each.kind == "class" else None
                )
                if found is not None:
                    return found
        return None

    def is_relationship(self, node: ast.expr) -> bool:
        """Whether it names a relationship."""
        return self.relationship(node) is not None

    def related_model(self, node: ast.expr) -> str:
        """What the model behind a relationship is called in a file; empty when the file does not name it."""
        found = self.relationship(node)
        if found is None or found.target is None:
            return ""
        for local, bindings in self.project.module_of(node).scope.bindings.items():
            for binding in bindings:
                if self.inference.binding_type(binding).decl is found.target:
                    return local
        return ""

    def is_aggregate(self, node: ast.expr) -> bool:
        """Whether it is one value over all rows: ``func.count(…)``, ``….exists()``."""
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in ("label", "cast", "coalesce") and isinstance(node.func, ast.Attribute):
                inner = node.args[0] if last_name(node.func.value) == "func" and node.args else node.func.value
                return self.is_aggregate(inner)
            if name in ("exists", "scalar_subquery"):
                return True
            if isinstance(node.func, ast.Attribute) and last_name(node.func.value) == "func":
                return name in (
                    "count",
                    "sum",
                    "min",
                    "max",
                    "avg",
                    "bool_and",
                    "bool_or",
                    "array_agg",
                    "string_agg",
                    "group_concat",
                )
        return False

    def is_safe_option(self, node: ast.expr) -> bool:
        """Whether a loader option cannot repeat a row."""
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            inner = node.func.value
            if not isinstance(inner, ast.Call):
                break
            if node.func.attr not in SAFE_OPTIONS:
                return False
            node = inner
        return isinstance(node, ast.Call) and last_name(node.func) in SAFE_OPTIONS

    # -- where a value comes from ------------------------------------------------------------------------------

    def sources(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that a name or a call takes its value from, one step back."""
        if isinstance(node, ast.Name):
            found = [b.value for b in self.inference.names.reaching(node) if b.value is not None and not b.path]
            if found:
                return found
            return list(self._passed(node))
        if isinstance(node, ast.Attribute):
            owner = members(self.type_of(node.value))
            return [
                binding.value
                for each in owner
                if isinstance(each.decl, Class)
                for binding in each.decl.assigned.get(node.attr, [])
                if binding.value is not None
            ]
        if isinstance(node, ast.Call):
            return [each for target in self.targets(node) for each in target.returns]
        if isinstance(node, ast.IfExp):
            return [node.body, node.orelse]
        if isinstance(node, ast.BoolOp):
            return list(node.values)
        if isinstance(node, ast.Await):
            return self.sources(node.value)
        return []

    def _passed(self, node: ast.Name) -> Iterator[ast.expr]:
        for binding in self.inference.names.reaching(node):
            if binding.kind != "param" or not isinstance(binding.node, ast.arg):
                continue
            function = self.project.collected.functions.get(binding.scope.node)
            if function is None:
                continue
            for call in self.project.collected.calls.get(function.name, []):
                if function in self.targets(call):
                    value = argument_for(call, function, binding.node)
                    if value is not None:
                        yield value

    def bindings(self, node: ast.expr) -> list[Binding]:
        """Where a name or an attribute is given its value: of an object, of a class, or of ``app.state``."""
        found = [each for each in self.inference.names.definitions(node) if isinstance(each, Binding)]
        if found or not isinstance(node, ast.Attribute):
            return found
        for owner in members(self.type_of(node.value)):
            for base, _ in self.inference.bases(owner.decl) if isinstance(owner.decl, Class) else ():
                if not base.module.stub:
                    found += [*base.scope.bindings.get(node.attr, ()), *base.assigned.get(node.attr, ())]
        if not found and last_name(node.value) == "state":
            found += self.project.collected.attributes.get(f"state.{node.attr}", ())
        return found

    def hands_out(self, of: Type) -> bool:
        """Whether a value is an engine or a session factory, or a tuple that holds one."""
        return any(
            part.kind == "instance" and any(self.inference.is_a(part, name) for name in (ENGINE, MAKER, SCOPED))
            for each in members(of)
            for part in (each, *each.args)
        )

    def targets(self, call: ast.Call) -> list[Function]:
        """The functions of the code base that a call runs itself, those that it hands on left out."""
        found: list[Function] = []
        for callee in members(self.type_of(call.func)):
            for use in self.inference.calling.reached(callee, call, tuple(call.args), tuple(call.keywords)):
                if not use.function.module.stub and use.function not in found:
                    found.append(use.function)
        return found

    def properties(self, node: ast.Attribute) -> list[Function]:
        """The properties of the code base that reading an attribute runs."""
        found: list[Function] = []
        for owner in members(self.type_of(node.value)):
            if owner.kind not in ("instance", "typevar") or not isinstance(owner.decl, Class):
                continue
            for base, _ in self.inference.bases(owner.decl):
                method = base.methods.get(node.attr)
                if method is not None:
                    if method.is_property and not base.module.stub and method not in found:
                        found.append(method)
                    break
        return found

    def session_behind(self, node: ast.expr, depth: int = 0) -> str:
        """The session that a query was made from, as the code around ``node`` can name it."""
        if depth > 8:
            return ""
        while (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and self.is_query(node.func.value)
        ):
            node = node.func.value
        if isinstance(node, ast.Call) and self.is_root(node) and isinstance(node.func, ast.Attribute):
            return dotted(node.func.value)
        if isinstance(node, ast.Call):
            found = {self._translated(node, target, depth) for target in self.targets(node)}
        elif isinstance(node, ast.Name) and self._assigned_here(node):
            found = {self.session_behind(each, depth + 1) for each in self.sources(node)}
        else:
            return ""
        return found.pop() if len(found) == 1 else ""

    def _assigned_here(self, node: ast.Name) -> bool:
        return all(binding.kind != "param" for binding in self.inference.names.reaching(node))

    def _translated(self, call: ast.Call, target: Function, depth: int) -> str:
        """The session of a function's query, in the words of a call of that function."""
        found = {self.session_behind(each, depth + 1) for each in target.returns}
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

    def session_in_reach(self, node: ast.expr) -> str:
        """The one session that a function can name; empty when there is none or more than one."""
        function = self.project.function_of(node)
        found: set[str] = set()
        while function is not None:
            if function in self.given_session:
                return self.given_session[function]
            for each in function.own_nodes:
                if (
                    isinstance(each, ast.Name | ast.Attribute)
                    and isinstance(each.ctx, ast.Load)
                    and dotted(each)
                    and self.is_session(each)
                ):
                    found.add(dotted(each))
            for param in function.params:
                if any(
                    self.inference.is_a(each, SESSION)
                    for each in members(self.inference.param_type(function, param))
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
        for base, _ in self.inference.bases(cls):
            for name, bindings in base.assigned.items():
                if any(b.value is not None and self.is_session(b.value) for b in bindings):
                    found.add(f"{receiver}.{name}")
        return found.pop() if len(found) == 1 else ""

    # -- names of a file ---------------------------------------------------------------------------------------

    @cached_property
    def _defined(self) -> dict[Module, set[str]]:
        names: dict[Module, set[str]] = {module: set() for module in self.project.modules.values()}
        for scope in self.project.collected.scopes.values():
            if scope.module in names and not isinstance(scope.node, ast.ClassDef):
                names[scope.module].update(scope.bindings)
        return names

    def imported_as(self, module: Module, source: str, name: str) -> str:
        """What a name from SQLAlchemy is called at the top of a file; empty when it is not imported there."""
        head = source.partition(".")[0]
        for local, bindings in module.scope.bindings.items():
            for binding in bindings:
                if isinstance(binding.node, ast.alias) and binding.kind == "from" and binding.node.name == name:
                    statement = self.parent(binding.node)
                    origin = (
                        statement.module or ""
                        if isinstance(statement, ast.ImportFrom) and not statement.level
                        else ""
                    )
                    if (
                        (
                            origin == source
                            or (
                                origin.partition(".")[0] in (head, "sqlmodel")
                                and head == "sqlalchemy"
                                and "asyncio" not in source
                                and "asyncio" not in origin
                            )
                        )
                        and len(bindings) == 1
                        and not self._bound_within(module, local)
                    ):
                        return local
        return ""

    def imports_module(self, module: Module, name: str) -> bool:
        """Whether ``import name`` stands at the top of a file."""
        return any(
            isinstance(binding.node, ast.alias) and isinstance(self.parent(binding.node), ast.Import)
            for binding in module.scope.bindings.get(name, ())
        )

    def _bound_within(self, module: Module, name: str) -> bool:
        return any(
            scope.module is module
            and scope.parent is not None
            and name in scope.bindings
            and not isinstance(scope.node, ast.ClassDef)
            for scope in self.project.collected.scopes.values()
        )

    def is_taken(self, module: Module, name: str) -> bool:
        """Whether a name means something else somewhere in a file."""
        return name in self._defined.get(module, set())


def argument_for(call: ast.Call, function: Function, param: ast.arg) -> ast.expr | None:
    """The argument that a call gives a parameter, where it is written out."""
    for keyword in call.keywords:
        if keyword.arg == param.arg:
            return keyword.value
    positional = function.positional
    if param not in positional:
        return None
    index = positional.index(param)
    if function.cls is not None and not function.is_static:
        index -= 1
    if 0 <= index < len(call.args) and not any(
        isinstance(each, ast.Starred) for each in call.args[: index + 1]
    ):
        return call.args[index]
    return None


__all__ = ["Facts", "argument_for"]
