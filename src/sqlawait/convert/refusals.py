"""What a conversion will not do: each reason has a code in the range that no rule of ``check`` uses."""

from __future__ import annotations

REFUSALS = {
    "SAW901": "a use of `Query` that `select()` has no counterpart for",
    "SAW902": "a union of what may be models or columns",
    "SAW903": "a stored query whose session cannot be named where it runs",
    "SAW904": "waiting in a lambda, a property, `__init__` or another place that cannot await",
    "SAW905": "one `with` that mixes sync and async context managers",
    "SAW906": "raw connections, what reads the schema, and transactions begun outside a `with`",
    "SAW907": "streamed results",
    "SAW908": "a call that reaches functions of both kinds",
    "SAW909": "a generator that is kept for later",
}
"""The codes of the TODO comments, each with what is left as it was under it."""


class Refusal(Exception):
    """A construct that is not converted: nothing was changed, and the reason becomes a TODO."""

    def __init__(self, code: str, reason: str) -> None:
        assert code in REFUSALS, code
        self.code = code
        self.reason = reason
        super().__init__(f"{code}: {reason}")


__all__ = ["REFUSALS", "Refusal"]
