"""The guards themselves: what the application sets up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from sqlawait.events import Observer
from sqlawait.guards import hooks
from sqlawait.guards.judge import Action, Judge, Limits
from sqlawait.guards.scope import Scope, entered, judges


class Guards(Judge):
    """The five guards, each off, logging or raising.

    Parameters:
        lazy_load: an unloaded attribute is touched where no SQL can run.
        n_plus_one: one SELECT runs again and again from one line.
        shared_session: two tasks use one session at the same time.
        blocked_loop: blocking code runs on the event loop. Blocking database calls raise where they are made;
            other code can only be reported once it has let go of the loop, so that is always logged.
        leaked_connection: a connection is kept beyond its use.
        limits: from when on the counting and measuring guards speak up.
        observers: told of every statement, request and finding; see :mod:`sqlawait.events`.
        bind_values: give the statements' bind values to the observers. They are personal data: off by default.

    Raises:
        ConfigurationError: an action is none of ``"off"``, ``"log"``, ``"raise"``.

    Example::

        guards = Guards(lazy_load="raise", n_plus_one="log")
        with guards, guards.scope("nightly report"):
            await report(session)
    """

    def __init__(
        self,
        *,
        lazy_load: Action = "log",
        n_plus_one: Action = "log",
        shared_session: Action = "log",
        blocked_loop: Action = "log",
        leaked_connection: Action = "log",
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
        bind_values: bool = False,
    ) -> None:
        super().__init__(
            lazy_load=lazy_load,
            n_plus_one=n_plus_one,
            shared_session=shared_session,
            blocked_loop=blocked_loop,
            leaked_connection=leaked_connection,
            limits=limits,
            observers=observers,
            bind_values=bind_values,
        )
        self._installed = 0

    def install(self) -> Self:
        """Begin to watch every engine, pool and AsyncSession of this process, once however often it is called.

        Requests are judged by the guards of their own application. Code outside of any is judged by these, or
        by those that were installed after them.
        """
        self._installed += 1
        if self._installed == 1:
            hooks.listen()
            judges.append(self)
        return self

    def remove(self) -> None:
        """End what :meth:`install` began."""
        if self._installed == 0:
            return
        self._installed -= 1
        if self._installed == 0:
            judges.remove(self)
            hooks.unlisten()

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(self, *_: object) -> None:
        self.remove()

    @contextmanager
    def scope(self, label: str) -> Iterator[Scope]:
        """Watch a block as if it were a request: a job, a script, a test.

        Raises:
            GuardError: at the end of the block, of a guard set to ``"raise"`` that judges the whole of it.
        """
        scope = Scope(self, label=label)
        with entered(scope):
            yield scope
        hooks.scope_ended(scope)


__all__ = ["Guards"]
