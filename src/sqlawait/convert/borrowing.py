"""Coroutine functions that work on a sync session of sync code, which runs them by ``asyncio.run``.

A task of a worker opens a session, and runs a coroutine function with it for what else that awaits. The task
cannot await, so its session stays sync, and so does what the coroutine function does on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.types import members

from .barriers import Barriers
from .classes import SESSION
from .facts import Facts


def borrowers(
    functions: Iterable[Function],
    callers: Mapping[Function, set[Function | None]],
    holders: set[Class],
    facts: Facts,
    barriers: Barriers,
) -> set[Function]:
    """The coroutine functions that only sync code comes to, with a session or an object that holds one.

    ``callers`` has None for the code at the top of a module.
    """
    entries = set(facts.inference.injection.routes) | set(facts.inference.injection.all)
    given = {each for each in functions if each.is_async and _is_given_session(each, holders, facts)}

    def users(function: Function) -> set[Function | None]:
        made = function.cls.methods.get("__init__") if function in given and function.cls else None
        return (callers[function] | (callers[made] if made is not None else set())) - {function}

    within = {
        each
        for each in functions
        if each not in entries
        and not barriers.is_barrier(each)
        and (each in given or not each.is_async)
        and users(each)
        and None not in users(each)
    }
    before = -1
    while len(within) != before:
        before = len(within)
        within = {
            each
            for each in within
            if all(user in within or (user is not None and barriers.is_barrier(user)) for user in users(each))
        }
    return within & given


def _is_given_session(function: Function, holders: set[Class], facts: Facts) -> bool:
    if function.cls is not None and function.cls in holders:
        return True
    return any(
        facts.inference.is_a(each, SESSION)
        for param in function.params
        for each in members(facts.inference.param_type(function, param))
    )


__all__ = ["borrowers"]
