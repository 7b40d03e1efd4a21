"""A plan becomes changes: options behind statements, refreshes above the statements that read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

from sqlawait.analysis.declarations import Class, Module
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts
from sqlawait.convert.rewrites.factories import append_keyword

from .naming import Naming, Unnameable
from .options import Path, option_texts
from .plan import Plan
from .statements import Statement

ORM = "sqlalchemy.orm"
Contexts = Callable[[Module], Context]


def write_options(plan: Plan, facts: Facts, context_of: Contexts) -> list[str]:
    """Add the options of a plan to its statements. This comes before the statements are rewritten.

    Gives the reasons for those that could not be added.
    """
    naming = Naming(facts)
    left: list[str] = []
    for statement, paths in plan.options.items():
        module = facts.project.module_of(statement.node)
        context = context_of(module)

        def name_of(cls: Class, context: Context = context, node: ast.expr = statement.node) -> str:
            return naming.name(cls, context, node)

        def need(loader: str, context: Context = context) -> str:
            return context.need(ORM, loader)

        try:
            texts = option_texts(_sorted(paths), name_of, need)
        except Unnameable as reason:
            left.append(str(reason))
            continue
        _add(statement, texts, context)
    return left


def _sorted(paths: list[Path]) -> list[Path]:
    """Columns of subclasses first: what hangs on a subclass comes after it."""
    return sorted(paths, key=lambda path: [step.loader != "selectin_polymorphic" for step in path])


def _add(statement: Statement, texts: list[str], context: Context) -> None:
    node, edits = statement.node, context.edits
    inner = ", ".join(texts)
    if statement.kind == "query_get":
        context.options[node] = texts
        return
    if statement.kind == "get" and isinstance(node, ast.Call):
        given = next((each.value for each in node.keywords if each.arg == "options"), None)
        if given is None:
            append_keyword(node, f"options=[{inner}]", context)
        elif isinstance(given, ast.List | ast.Tuple) and given.elts:
            edits.extend(edits.end(given.elts[-1]), f", {inner}")
        return
    there = _options_of(node)
    if there is not None and there.args:
        edits.extend(edits.end(there.args[-1]), f", {inner}")
    else:
        gap = _gap(node, context)
        line = (node.end_lineno or node.lineno) if gap else 0
        edits.extend(edits.end(node), f"{gap}.options({inner})", beside=line)


def _options_of(node: ast.expr) -> ast.Call | None:
    """The call of ``options`` in the chain that a statement is written as."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "options" and not any(isinstance(each, ast.Starred) for each in node.args[-1:]):
            return node
        node = node.func.value
    return None


def _gap(node: ast.expr, context: Context) -> str:
    """What stands before the dots of a chain that is written over several lines."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        edits, func = context.edits, node.func
        before = edits.between(edits.end(func.value), edits.end(func) - len(func.attr.encode()))
        if before.strip() == "." and "\n" in before:
            return before[: before.index(".")]
        node = func.value
    return ""


def write_refreshes(plan: Plan, facts: Facts, context_of: Contexts) -> None:
    """Add the refreshes of a plan."""
    for refresh, paths in sorted(plan.refreshes.items(), key=lambda each: len(each[0].owner)):
        context = context_of(facts.project.module_of(refresh.statement))
        session = refresh.session
        if not session:
            own = ("orm", "object_session") if context.blocking else ("ext.asyncio", "async_object_session")
            session = f"{context.need(f'sqlalchemy.{own[0]}', own[1])}({refresh.owner})"
        statement = refresh.statement
        line = (statement.end_lineno or statement.lineno) + 1 if refresh.below else statement.lineno
        indent = context.edits.indent_of(statement.lineno)
        function = facts.project.function_of(statement)
        taken = set(function.scope.bindings) if function is not None else set()
        call = session if context.blocking else f"await {session}"
        lines = _refreshed(refresh.owner, call, paths, plan.many[refresh], taken)
        if refresh.items:
            each = _singular(refresh.owner, taken)
            within = _refreshed(each, call, paths, plan.many[refresh], {*taken, each})
            lines = iter([f"for {each} in {refresh.owner}:", *(f"    {line}" for line in within)])
        if refresh.optional:
            lines = iter([f"if {refresh.owner} is not None:", *(f"    {line}" for line in lines)])
        text = "".join(f"{indent}{each}\n" for each in lines)
        context.edits.insert_line(line, text, beside=statement.lineno)


def _refreshed(
    owner: str,
    session: str,
    paths: Iterable[tuple[str, ...]],
    many: set[tuple[str, ...]],
    taken: set[str],
) -> Iterator[str]:
    """The lines that refresh an object, and then what stands behind it."""
    heads = sorted({path[0] for path in paths if path})
    if not all(paths):
        yield f"{session}.refresh({owner})"
    if heads:
        named = ", ".join(f'"{each}"' for each in heads)
        yield f"{session}.refresh({owner}, [{named}])"
    for head in heads:
        below = {path[1:] for path in paths if path[:1] == (head,) and len(path) > 1}
        if not below:
            continue
        if (head,) in many:
            each = _singular(head, taken)
            yield f"for {each} in {owner}.{head}:"
        else:
            each = f"{owner}.{head}"
            yield f"if {each} is not None:"
        behind = {path[1:] for path in many if path[:1] == (head,)}
        yield from (f"    {line}" for line in _refreshed(each, session, below, behind, {*taken, each}))


def _singular(name: str, taken: set[str]) -> str:
    """A name for one of several that the function does not use otherwise."""
    last = name.rpartition(".")[2]
    return last[:-1] if last.endswith("s") and last[:-1] not in taken else f"each_{last}"


__all__ = ["write_options", "write_refreshes"]
