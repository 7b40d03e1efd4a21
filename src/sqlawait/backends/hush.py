"""Errors without the values of rows: who logs a traceback does not want to log the data.

``hide_parameters`` keeps the parameters out of SQLAlchemy's own text, not out of what the server says of them:
``Key (email)=(ada@example.com) already exists``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_TELLING = ("detail", "where", "query", "internal_query")
"""Attributes in which asyncpg keeps what PostgreSQL tells of a row, a line of COPY, or a statement."""


def hush(error: BaseException, without_values: Callable[[str], str]) -> None:
    """Take the values out of an error's text, and out of those of all that it came from.

    Parameters:
        error: changed in place: its type, code and the names in it stay.
        without_values: gives a message of the database without the values that it quotes.
    """
    for one in _chain(error):
        one.args = tuple(without_values(part) if isinstance(part, str) else part for part in one.args)
        for name in _TELLING:
            if isinstance(getattr(one, name, None), str):
                setattr(one, name, None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], {id(error)}
    while waiting:
        one = waiting.pop()
        yield one
        for source in (one.__cause__, one.__context__):
            if source is not None and id(source) not in seen:
                seen.add(id(source))
                waiting.append(source)


__all__ = ["hush"]
