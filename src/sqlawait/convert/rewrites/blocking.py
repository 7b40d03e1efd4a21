"""Calls that block for another reason than the database go to a thread, once their function is on the loop.

| before | after |
| --- | --- |
| ``requests.get(url, timeout=5)`` | ``await asyncio.to_thread(requests.get, url, timeout=5)`` |
| ``verify(password, user.hash)``, which hashes | ``await asyncio.to_thread(verify, password, user.hash)`` |
| ``time.sleep(1)`` | ``await asyncio.sleep(1)`` |
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from sqlawait.analysis.calls import Calls
from sqlawait.analysis.colours import Colours as Effects
from sqlawait.analysis.declarations import Function
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts

from .awaits import in_parentheses, make_awaitable

SLEEP = "time.sleep"
FILES = re.compile(
    r"builtins\.open\(\)(\.__enter__\(\))?\.(read|readlines|write|writelines)"
    r"|pathlib\.Path\(\)\.(read|write)_(text|bytes)"
    r"|shutil\.(copyfileobj|copyfile|copy2?|move)"
)
"""Work on files, whose size is not known here."""
NEVER = {"__init__", "__enter__", "__exit__"}


class Blocking:
    """Finds what blocks in the functions that become async."""

    def __init__(self, facts: Facts, awaited: Collection[Function]) -> None:
        self.facts = facts
        self.awaited = awaited
        self.calls = Calls(facts.inference)
        self.effects = Effects(self.calls)

    def calls_of(self, function: Function) -> list[ast.Call]:
        """The calls of a function that block, or that come to what blocks."""
        found: dict[ast.Call, None] = {}
        for outward in self.calls.outward(function):
            blocks = self.effects.effect(outward) in ("blocking", "cpu") or FILES.fullmatch(outward.name)
            if blocks and isinstance(outward.node, ast.Call):
                found[outward.node] = None
        for edge in self.calls.edges(function):
            if isinstance(edge.node, ast.Call) and self._comes_to(edge.target):
                found[edge.node] = None
        return [call for call in found if self.facts.project.function_of(call) is function]

    def _comes_to(self, target: Function) -> bool:
        if target.is_async or target in self.awaited or target.yields or target.name in NEVER:
            return False
        return bool(self.effects.effects(target).keys() & {"blocking", "cpu"})

    def is_sleep(self, call: ast.Call) -> bool:
        """Whether a call only waits."""
        return self.facts.inference.names.qualified(call.func) == SLEEP


def rewrite_blocking(call: ast.Call, blocking: Blocking, context: Context) -> None:
    """Await a blocking call in a thread."""
    make_awaitable(call, context)
    edits = context.edits
    asyncio = context.need("", "asyncio")
    bare = not context.facts.needs_parentheses(call) or in_parentheses(call, context)
    head = f"{'' if bare else '('}await {asyncio}."
    if blocking.is_sleep(call):
        edits.wrap_node(call, head, "" if bare else ")")
        edits.replace_node(call.func, "sleep")
        return
    edits.wrap_node(call, f"{head}to_thread(", "" if bare else ")")
    opening = edits.find("(", edits.end(call.func))
    given = call.args or call.keywords
    follows = edits.between(opening + 1, opening + 2)
    edits.replace(edits.end(call.func), opening + 1, ("," if follows == "\n" else ", ") if given else "")


__all__ = ["Blocking", "rewrite_blocking"]
