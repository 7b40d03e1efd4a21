"""Where a function waits for the database, or makes what does: the places that a conversion has to touch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.types import members

from .chains import RUNS, Chain, read_chain
from .facts import Facts
from .operators import operators

PAGINATION = ("fastapi_pagination.ext.sqlalchemy", "fastapi_pagination.ext.sqlmodel")
SESSION_WAITS = {
    "execute", "scalar", "scalars", "get", "get_one", "commit", "rollback", "flush", "refresh", "merge",
    "delete", "close", "connection", "exec", "invalidate", "reset", "remove", "prepare",
}  # fmt: skip
"""Methods of a session that are coroutines on AsyncSession under the same name."""
SESSION_BULK = {"bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings"}
"""Methods that AsyncSession does not have: they run through ``run_sync``."""
SESSION_BEGINS = {"begin", "begin_nested"}
ENGINE_WAITS = {"dispose", "connect", "begin", "raw_connection"}
BEGINS = {"begin", "begin_nested", "connect"}
CONNECTION_WAITS = {
    "execute",
    "scalar",
    "scalars",
    "commit",
    "rollback",
    "close",
    "exec_driver_sql",
    "invalidate",
}
TRANSACTION_WAITS = {"commit", "rollback", "close"}
METHODS = SESSION_WAITS | SESSION_BULK | SESSION_BEGINS | ENGINE_WAITS | CONNECTION_WAITS | TRANSACTION_WAITS
SCHEMA_CALLS = {"create_all", "drop_all", "reflect", "create", "drop"}
"""Methods of metadata and of tables that take an engine or a connection."""
PAGINATE = {f"{module}.paginate": module for module in PAGINATION}
"""The functions of fastapi-pagination that run a query."""
TO_THREAD = {"run_in_threadpool", "to_thread", "asyncify", "run_in_executor", "sync_to_async"}

WaitKind = Literal[
    "session",
    "bulk",
    "begin",
    "query",
    "engine",
    "connection",
    "transaction",
    "with",
    "thread",
    "new",
    "schema",
    "paginate",
    "callback",
]


@dataclass(eq=False, slots=True)
class Wait:
    """One place."""

    kind: WaitKind
    node: ast.expr
    chain: Chain | None = None
    waits: bool = True
    """False for what must be rewritten but has nothing to await, such as building a query."""


@dataclass(eq=False)
class Uses:
    """What one function, or the top of one module or class, does by itself."""

    waits: list[Wait] = field(default_factory=list)
    calls: list[tuple[ast.Call, list[Function]]] = field(default_factory=list)
    references: list[tuple[ast.expr, Function]] = field(default_factory=list)
    """Functions that are handed on without being called."""
    reads: list[tuple[ast.Attribute, list[Function]]] = field(default_factory=list)
    """Properties that are read."""
    operators: list[tuple[ast.expr, list[Function]]] = field(default_factory=list)
    """Operators that run special methods."""

    @property
    def awaits(self) -> bool:
        """Whether there is anything to await in what it does by itself."""
        return any(each.waits or each.kind == "with" for each in self.waits)

    @property
    def runs(self) -> Iterator[Function]:
        """The functions of the code base that run: called, read as properties, or behind an operator."""
        for _, targets in [*self.calls, *self.reads, *self.operators]:
            yield from targets


def uses_of(nodes: list[ast.AST], facts: Facts) -> Uses:
    """What these nodes, those of one function or of the top of a module, do."""
    uses = Uses()
    chained: set[ast.AST] = set()
    called: set[ast.AST] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            called.add(node.func)
    for node in nodes:
        if isinstance(node, ast.expr) and node not in chained:
            chain = _chain(node, facts)
            if chain is not None:
                chained.update((chain.root, chain.statement, chain.top, *(step.node for step in chain.steps)))
                if isinstance(chain.root, ast.Call) and chain.session is None:
                    pass  # the call that gives the query is a call like any other
                else:
                    called.update(_funcs(chain))
                runs = chain.end is not None and (chain.end.name in RUNS or chain.end.name == "[]")
                uses.waits.append(
                    Wait(
                        "query",
                        chain.top,
                        chain,
                        runs or (chain.end is None and facts.is_iterated(chain.statement)),
                    )
                )
        uses.operators += operators(node, facts)
        if isinstance(node, ast.Call):
            _call(node, uses, facts)
        elif isinstance(node, ast.With):
            uses.waits += [
                Wait("with", item.context_expr) for item in node.items if _enters(item.context_expr, facts)
            ]
        elif (
            isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load) and node not in called
        ):
            uses.references += [(node, each) for each in _functions(node, facts)]
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            read = facts.properties(node)
            if read:
                uses.reads.append((node, read))
    return uses


def _funcs(chain: Chain) -> list[ast.expr]:
    steps = [*chain.steps, *([chain.end] if chain.end else [])]
    return [step.node.func for step in steps if isinstance(step.node, ast.Call)]


def _functions(node: ast.Name | ast.Attribute, facts: Facts) -> list[Function]:
    parent = facts.parent(node)
    if isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node):
        return []
    found = facts.type_of(node)
    each = found.decl
    if found.kind == "function" and isinstance(each, Function) and not each.module.stub:
        return [each]
    if isinstance(parent, ast.Call | ast.keyword):  # an object that is handed on to be called
        called = [
            m.decl.methods.get("__call__")
            for m in members(found)
            if m.kind == "instance" and isinstance(m.decl, Class)
        ]
        return [each for each in called if each is not None and not each.module.stub]
    return []


def _chain(node: ast.expr, facts: Facts) -> Chain | None:
    """The chain that starts at a node, when one does."""
    if facts.is_root(node):
        return read_chain(node, facts)
    if isinstance(node, ast.Name | ast.Attribute | ast.Call) and isinstance(
        getattr(node, "ctx", ast.Load()), ast.Load
    ):
        parent = facts.parent(node)
        starts = isinstance(parent, ast.Attribute | ast.Subscript) and parent.value is node
        if (starts or facts.is_iterated(node)) and facts.is_query(node) and not _is_step(node, facts):
            return read_chain(node, facts)
    return None


def _is_step(node: ast.expr, facts: Facts) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and facts.is_query(node.func.value)
    )


def _call(node: ast.Call, uses: Uses, facts: Facts) -> None:
    kind = _waits(node, facts)
    if kind == "entered":
        return
    if kind is not None:
        uses.waits.append(Wait(kind, node))
        return
    if _makes_session(node, facts):
        uses.waits.append(Wait("new", node, waits=False))
    targets = facts.targets(node)
    if targets:
        uses.calls.append((node, targets))


def _waits(node: ast.Call, facts: Facts) -> WaitKind | Literal["entered"] | None:
    """The kind of wait that a call is; ``entered`` for what only a ``with`` around it waits for."""
    func = node.func
    if bind_of(node, facts) is not None:
        return "schema"
    if facts.inference.names.qualified(func) in PAGINATE:
        return "paginate"
    if facts.lending.calls_back(node):
        return "callback"
    if not isinstance(func, ast.Attribute):
        return "thread" if _hands_over(node, facts) else None
    name, owner = func.attr, func.value
    if name in METHODS:
        for kind, names, test in (
            ("session", SESSION_WAITS, facts.is_session),
            ("bulk", SESSION_BULK, facts.is_session),
            ("begin", SESSION_BEGINS, facts.is_session),
            ("engine", ENGINE_WAITS, facts.is_engine),
            ("connection", CONNECTION_WAITS, facts.is_connection),
            ("transaction", TRANSACTION_WAITS, facts.is_transaction),
        ):
            if name in names and test(owner):
                entered = isinstance(facts.parent(node), ast.withitem) and name in BEGINS
                return "entered" if entered else kind  # type: ignore[return-value]  # the kinds above
    return "thread" if _hands_over(node, facts) else None


def bind_of(call: ast.Call, facts: Facts) -> ast.expr | None:
    """The engine or connection that a call creates or drops tables on; None for any other call."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in SCHEMA_CALLS:
        return None
    given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "bind"), None)
    if given is not None and (facts.is_engine(given) or facts.is_connection(given)):
        return given
    return None


def _hands_over(node: ast.Call, facts: Facts) -> bool:
    """Whether a call hands a session's own method to a thread."""
    if last_name(node.func) not in TO_THREAD:
        return False
    at = 1 if last_name(node.func) == "run_in_executor" else 0
    handed = node.args[at] if len(node.args) > at else None
    return isinstance(handed, ast.Attribute) and handed.attr in SESSION_WAITS and facts.is_session(handed.value)


def _makes_session(node: ast.Call, facts: Facts) -> bool:
    return facts.is_session(node) and not facts.targets(node) and facts.is_maker(node.func)


def _gives_manager(node: ast.Call, facts: Facts) -> bool:
    """Whether a call gives a context manager of a session that something else has made."""
    if any(each.kind == "external" for each in members(facts.type_of(node.func))):
        return False
    managers = [each for each in members(facts.type_of(node)) if each.name == "ContextManager"]
    sessions = [each for manager in managers for each in manager.args if facts.is_session_type(each)]
    return bool(sessions) and not any(target.yields for target in facts.targets(node))


def _enters(node: ast.expr, facts: Facts) -> bool:
    """Whether ``with`` over it is ``async with`` on its async counterpart."""
    if isinstance(node, ast.Call) and _gives_manager(node, facts):
        return True
    if facts.is_session(node) and not facts.is_scoped(node):
        return not (isinstance(node, ast.Attribute) and node.attr == "no_autoflush")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name, owner = node.func.attr, node.func.value
        if name in ("begin", "begin_nested", "connect"):
            return (
                facts.is_session(owner)
                or facts.is_engine(owner)
                or facts.is_connection(owner)
                or facts.is_maker(owner)
            )
    return False


__all__ = ["PAGINATE", "SESSION_BULK", "SESSION_WAITS", "TO_THREAD", "Uses", "Wait", "bind_of", "uses_of"]
