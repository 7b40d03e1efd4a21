"""The session of a request."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from sqlawait.fastapi.responses import WrittenJSON
from sqlawait.session import AsyncSession


class RequestSession(AsyncSession):
    """A session that is made when it is first needed: a shaped read needs only the engine.

    Making and closing one costs a request as much as the read itself.

    Parameters:
        engine: where it reads and writes.
        kind: the class of its sync side.
        commits: whether it commits at the end of the request.
    """

    json_type = WrittenJSON

    def __init__(self, engine: AsyncEngine, *, kind: type[Session] = Session, commits: bool) -> None:
        self._engine = engine
        self.sync_session_class = kind
        self._commits = commits
        self._ended = False

    @cached_property
    def sync_session(self) -> Session:  # type: ignore[override] # an attribute of the parent's, made at once there
        if self._ended:
            raise InvalidRequestError(
                "this request's session is closed; open one of your own with db.session()"
            )
        # sets the attribute of this name, which from then on is found before this property
        super().__init__(
            self._engine,
            sync_session_class=self.sync_session_class,
            expire_on_commit=False,
            close_resets_only=False,
        )
        made: Session = self.__dict__["sync_session"]
        return made

    @cached_property
    def _proxied(self) -> Session:  # type: ignore[override] # as above
        return self.sync_session

    def _shape_bind(self, statement: Any) -> Engine | Connection:
        if "sync_session" in self.__dict__:
            return super()._shape_bind(statement)
        return self._engine.sync_engine

    async def end(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End the request's unit of work: commit unless it failed, and close."""
        self._ended = True
        if "sync_session" in self.__dict__:
            async with self:
                if self._commits and error is None:
                    await self.commit()


__all__ = ["RequestSession"]
