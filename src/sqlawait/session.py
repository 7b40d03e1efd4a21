"""AsyncSession: SQLAlchemy's own, plus the verbs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import ORMExecuteState, Session

from sqlawait.exceptions import ReadOnly
from sqlawait.writing import WritingVerbs


class AsyncSession(WritingVerbs):
    """SQLAlchemy's ``AsyncSession`` with verbs.

    All that SQLAlchemy's session does it does unchanged: a library that takes an ``AsyncSession`` takes it.

    Example::

        user = await session.create(User, email="ada@example.com")
        same = await session.find(User, email="ada@example.com")
        await session.update(user, name="Ada")
        await session.delete(user)
    """

    async def close(self) -> None:
        """Close it; what is not committed is rolled back.

        SQLAlchemy's stops at each savepoint but one that a failed COMMIT has left, and keeps the connection.
        """
        if self._is_idle():
            return self.sync_session.close()
        while True:
            points = self.sync_session.get_nested_transaction()
            try:
                return await super().close()
            except PendingRollbackError:
                if points is None or self.sync_session.get_nested_transaction() is points:
                    raise

    async def __aexit__(self, type_: object, value: object, traceback: object) -> None:
        """Close it, also where that is cancelled."""
        if self._is_idle():
            await self.close()
        else:
            await super().__aexit__(type_, value, traceback)

    def _is_idle(self) -> bool:
        """Whether it has no transaction: closing it waits for nothing, and nothing can be cancelled."""
        return self.sync_session.get_transaction() is None


class ReaderSession(Session):
    """The sync side of a read-only session: it refuses to write."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Refuse where there is anything to write."""
        if self.new or self.deleted or any(self.is_modified(instance) for instance in self.dirty):
            raise ReadOnly("a changed object was to be stored")
        super().flush(objects)


@event.listens_for(ReaderSession, "do_orm_execute")
def _refuse_writes(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise ReadOnly("an INSERT, UPDATE or DELETE was to be executed")


__all__ = ["AsyncSession", "ReaderSession"]
