"""The inspector, mounted into an application."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from sqlawait.exceptions import ConfigurationError
from sqlawait.guards import GuardMiddleware, Guards
from sqlawait.inspector.api import router
from sqlawait.inspector.collector import Collector
from sqlawait.inspector.gate import Gate

PATH = "/_sqlawait"


class Inspector:
    """One page that shows what a request did, and the same as JSON below ``/_sqlawait/api``.

    It answers this machine only, and only with its token. To have it answer elsewhere, give ``dependencies`` of
    your own.

    Parameters:
        guards: what watches the requests; :meth:`Guards.development` unless given.
        token: the secret; a new one for each process unless given.
        dependencies: FastAPI dependencies that refuse whom they do not know.
        everywhere: answer any host and address, without a token. Needs ``dependencies``.
        requests: how many requests are kept.

    Raises:
        ConfigurationError: ``everywhere`` without a dependency that asks who is there; a token that is empty.

    Example::

        inspector = Inspector()
        inspector.mount(app)
        print(inspector.address("http://127.0.0.1:8000"))
    """

    def __init__(
        self,
        guards: Guards | None = None,
        *,
        token: str | None = None,
        dependencies: Sequence[Any] = (),
        everywhere: bool = False,
        requests: int = 500,
    ) -> None:
        if everywhere and not dependencies:
            raise ConfigurationError(
                "the inspector shows statements and code: outside of this machine it needs dependencies that"
                " ask who is there; give dependencies=[Depends(your_own_check)], or leave everywhere out"
            )
        if token == "":
            raise ConfigurationError(
                "an empty token lets everybody in; give a secret, or none to have one made"
            )
        self.guards = guards or Guards.development()
        self.token = token or secrets.token_urlsafe(24)
        self.collector = Collector(requests=requests)
        self.guards.observers.append(self.collector)
        self._everywhere = everywhere
        self._dependencies = list(dependencies)

    def mount(self, app: FastAPI) -> None:
        """Watch an application's requests and serve the page at ``/_sqlawait/``; call it last."""
        inner = FastAPI(
            title="sqlawait inspector",
            description="What the application's requests did to the database. Read-only.",
            openapi_url=None,  # the router has it, behind the dependencies
            docs_url=None,
            redoc_url=None,
            dependencies=self._dependencies,
        )
        inner.state.collector = self.collector
        inner.include_router(router)
        app.mount(PATH, Gate(inner, None if self._everywhere else self.token), name="sqlawait-inspector")
        app.add_middleware(GuardMiddleware, guards=self.guards, server_timing=True, skip=PATH)

    def address(self, base: str) -> str:
        """The page's address with its token, below ``base``."""
        return f"{base.rstrip('/')}{PATH}/?token={self.token}"


__all__ = ["PATH", "Inspector"]
