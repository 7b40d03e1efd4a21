"""Functions that run a query which they are given: ``select()`` knows no session, so they are given that too.

``paginate(query, page)`` becomes ``paginate(session, query, page)``, at every call of it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field

from sqlawait.analysis.declarations import Function
from sqlawait.analysis.types import members

from .arguments import argument_for
from .classes import QUERY
from .colours import Colours
from .context import Context
from .facts import Facts
from .units import Unit

NAMES = ("session", "db_session", "async_session")


@dataclass
class Unbound:
    """The functions that get a parameter, and what each call of them gives it."""

    functions: dict[Function, str] = field(default_factory=dict)
    """Each with the name of its new parameter."""
    arguments: dict[ast.Call, str] = field(default_factory=dict)


def find_unbound(facts: Facts, colours: Colours) -> Unbound:
    """The functions whose session can be named wherever they are called."""
    calls: dict[Function, list[tuple[Unit, ast.Call, list[Function]]]] = defaultdict(list)
    handed: set[Function] = set()
    for unit in [*colours.units.values(), *colours.tops.values()]:
        for call, targets in unit.uses.calls:
            for target in targets:
                calls[target].append((unit, call, targets))
        handed |= {function for _, function in unit.uses.references}
    wanted = {each for each in colours.awaited if _lacks_session(each, facts, colours)}
    pending = list(wanted)
    while pending:  # the callers that have the query from a caller of their own
        function = pending.pop()
        for unit, call, _ in calls[function]:
            caller = unit.function
            if caller in colours.awaited and caller not in wanted and not session_at(call, function, facts):
                if not _queries(caller, facts):
                    continue
                wanted.add(caller)
                pending.append(caller)
    found = Unbound()
    while wanted:
        facts.sessions.given = {each: _name(each) for each in wanted}
        failed = {
            each
            for each in wanted
            if each in handed
            or not facts.sessions.given[each]
            or not all(
                set(targets) <= wanted and unit.function in colours.converted and session_at(call, each, facts)
                for unit, call, targets in calls[each]
                if unit.function is None or unit.function in colours.converted
            )
        }
        if not failed:
            break
        wanted -= failed
    found.functions = facts.sessions.given = {each: _name(each) for each in wanted}
    for function in wanted:
        for _, call, _ in calls[function]:
            found.arguments[call] = session_at(call, function, facts)
    return found


def _lacks_session(function: Function, facts: Facts, colours: Colours) -> bool:
    return bool(_queries(function, facts)) and any(
        wait.chain is not None
        and wait.waits
        and wait.chain.session is None
        and not facts.sessions.behind(wait.chain.root)
        and not facts.sessions.in_reach(wait.chain.root)
        for wait in colours.units[function].uses.waits
    )


def _queries(function: Function, facts: Facts) -> list[ast.arg]:
    """The parameters that take a query."""
    return [
        param
        for param in function.params
        if any(facts.inference.is_a(m, QUERY) for m in members(facts.inference.param_type(function, param)))
    ]


def session_at(call: ast.Call, function: Function, facts: Facts) -> str:
    """The session of the query that a call hands over, as the code around the call can name it."""
    for param in _queries(function, facts):
        given = argument_for(call, function, param)
        behind = facts.sessions.behind(given) if given is not None else ""
        if behind:
            return behind
    return facts.sessions.in_reach(call)


def _name(function: Function) -> str:
    return next((each for each in NAMES if each not in function.scope.bindings), "")


def take_session(function: Function, name: str, context: Context) -> None:
    """Give a function the parameter, before its others."""
    edits = context.edits
    kind = context.need(*context.session_class)
    bound = function.cls is not None and not function.is_static
    params = function.positional[1:] if bound else function.positional
    if params:
        at = edits.start(params[0])
        edits.replace(at, at, f"{name}: {kind}, ")
    elif bound:
        at = edits.end(function.positional[0])
        edits.replace(at, at, f", {name}: {kind}")


def hand_session(call: ast.Call, session: str, context: Context) -> None:
    """Put the session before the other arguments of a call."""
    edits = context.edits
    at = edits.find("(", edits.end(call.func)) + 1
    edits.wrap(at, edits.end(call), f"{session}, " if call.args or call.keywords else session, "")


__all__ = ["Unbound", "find_unbound", "hand_session", "session_at", "take_session"]
