"""What the service shows of itself: guards, the inspector, and mistakes to try them on."""

from __future__ import annotations

from fastapi import FastAPI

from sqlawait.guards import GuardMiddleware, Guards
from sqlawait.inspector import Inspector
from sqlawait.service.settings import Settings


def watch(app: FastAPI, settings: Settings) -> None:
    """Put the application under its guards; with a token, show the inspector."""
    if settings.guards == "off":
        return
    guards = Guards.parse(settings.guards)
    app.state.guards = guards
    if settings.demo_mistakes:
        from sqlawait.inspector.mistakes import router

        app.include_router(router)
    if settings.inspector_token:
        Inspector(guards, token=settings.inspector_token).mount(app)
    else:
        app.add_middleware(GuardMiddleware, guards=guards)
