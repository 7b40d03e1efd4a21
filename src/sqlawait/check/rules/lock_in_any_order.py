"""SAW410: rows locked in the caller's order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import reach
from sqlawait.analysis.special import constant
from sqlawait.analysis.types import Type, members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import executes, functions, names_in

RULE = Rule(
    code="SAW410",
    name="lock-in-any-order",
    summary="Several rows of one table are locked in the order in which the caller names them.",
    why=(
        "Two requests that name the same rows the other way round wait for each other: the database ends one"
        " of them with"
        " a deadlock error, which its client sees as a 500."
    ),
    remedy=(
        "Lock in one order, such as by primary key: sort the ids, or lock all by one statement with `order_by`."
    ),
    wrong=(
        Example("""\
async def transfer(session: AsyncSession, source: int, target: int, amount: int):
    giver = await session.get(User, source, with_for_update=True)
    taker = await session.get(User, target, with_for_update=True)  # SAW410
    giver.balance -= amount
    taker.balance += amount
    await session.commit()
"""),
    ),
    right=(
        Example("""\
async def transfer(session: AsyncSession, source: int, target: int, amount: int):
    rows = {}
    for user_id in sorted((source, target)):
        rows[user_id] = await session.get(User, user_id, with_for_update=True)
    rows[source].balance -= amount
    rows[target].balance += amount
    await session.commit()
"""),
    ),
    limits="A function that sorts or compares anything on the way is taken to order its locks.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Second locks on a table, and locks in loops, without anything that orders them."""
    for function in functions(analysis):
        locks = [(node, model) for node in _calls(function) if (model := _locks(analysis, node)) is not None]
        earlier: list[tuple[ast.Call, Class]] = []
        for node, model in locks:
            message = (
                f"rows of {model.name} are locked in the caller's order, which can deadlock; lock them sorted"
                f" by key"
            )
            if _in_unordered_loop(analysis, function, node) or (
                any(_second(analysis, one, of, node, model) for one, of in earlier) and not _ordered(function)
            ):
                yield RULE.at(function.module, node, message)
            earlier.append((node, model))


def _calls(function: Function) -> list[ast.Call]:
    return [node for node in function.own_nodes if isinstance(node, ast.Call)]


def _locks(analysis: Analysis, call: ast.Call) -> Class | None:
    """The model whose row a call locks: one row, by a statement or a helper."""
    result = analysis.types.type_of(call)
    found = list(members(analysis.types.awaited(result)))
    if not _runs(analysis, call) or _given_locked(analysis, call):
        return None
    if any(k.arg and "for_update" in k.arg and constant(k.value) is True for k in call.keywords):
        for each in found:
            if isinstance(each.decl, Class) and analysis.models.is_model(each.decl):
                return each.decl
    for each in found:
        model = _one_locked(analysis, each, single=False)
        if model is not None:
            return model
    if (
        last_name(call.func) == "refresh"
        and call.args
        and any(k.arg == "with_for_update" for k in call.keywords)
    ):
        for each in members(analysis.types.type_of(call.args[0])):
            if isinstance(each.decl, Class):
                return each.decl
    return None


def _one_locked(analysis: Analysis, of: Type, *, single: bool) -> Class | None:
    if (
        of.origin is not None
        and of.origin.locked
        and isinstance(of.decl, Class)
        and analysis.models.is_model(of.decl)
    ):
        return of.decl
    if (
        of.name in ("sqlalchemy.Result", "sqlalchemy.ScalarResult", "sqlalchemy.CursorResult")
        and of.args
        and not single
    ):
        return _one_locked(analysis, of.args[0], single=True)
    return None


def _runs(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call sends the statement: a method of a session or query, or a function of the code base."""
    function = analysis.project.function_of(call)
    for outward in analysis.calls.outward(function) if function is not None else ():
        if outward.node is call and outward.function is not None and outward.function.cls is not None:
            sends = outward.function.is_async or outward.blocks
            return (
                sends and outward.function.name != "merge" and not outward.function.cls.name.endswith("Result")
            )
    return any(
        executes(analysis, target) or "database" in analysis.colours.effects(target)
        for target in analysis.calls.reached(call)
        if target.name != "__init__"
    )


def _given_locked(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call is handed a row that is locked already: what it gives back is that row."""
    if last_name(call.func) == "refresh":
        return False
    given = [*call.args, *(each.value for each in call.keywords)]
    return any(
        _one_locked(analysis, each, single=True) is not None
        for argument in given
        for each in members(analysis.types.type_of(argument))
    )


def _second(analysis: Analysis, one: ast.Call, of: Class, other: ast.Call, model: Class) -> bool:
    if of is not model or not reach(analysis.project, one, other):
        return False
    return ast.unparse(one) != ast.unparse(other)


def _ordered(function: Function) -> bool:
    """Whether anything in the function orders: ``sorted``, ``min``, ``order_by``, a comparison that swaps."""
    for each in function.own_nodes:
        if isinstance(each, ast.Call) and last_name(each.func) in ("sorted", "min", "max", "sort", "order_by"):
            return True
        if isinstance(each, ast.If | ast.IfExp) and isinstance(each.test, ast.Compare):
            test = each.test
            sides = [test.left, *test.comparators]
            keys = all(isinstance(side, ast.Name | ast.Attribute) for side in sides)
            if keys and isinstance(test.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE):
                swaps = [a for s in getattr(each, "body", []) if isinstance(s, ast.Assign) for a in s.targets]
                if isinstance(each, ast.IfExp) or any(isinstance(target, ast.Tuple) for target in swaps):
                    return True
    return False


def _in_unordered_loop(analysis: Analysis, function: Function, call: ast.Call) -> bool:
    child: ast.AST = call
    for parent in analysis.project.ancestors(call):
        if parent is function.node:
            return False
        loop: ast.For | ast.comprehension | None = None
        if isinstance(parent, ast.For) and child is not parent.iter:
            loop = parent
        elif isinstance(parent, ast.ListComp | ast.SetComp | ast.DictComp):
            loop = parent.generators[0]
        if loop is not None and any(
            names_in(arg) & names_in(loop.target) for arg in [*call.args, *(k.value for k in call.keywords)]
        ):
            iterable = loop.iter
            if isinstance(iterable, ast.Call) and last_name(iterable.func) in ("sorted", "range"):
                return False
            return not _ordered(function)
        child = parent
    return False
