"""What becomes of a function that is handed to a call: whether that awaits it."""

from __future__ import annotations

from .waits import TO_THREAD

ASYNC_CALLS = {
    "Depends", "Security", "add_task", "BackgroundTask", "add_api_route", "add_event_handler",
    "add_exception_handler", "exception_handler", "middleware", "create_task", "ensure_future",
    "add_api_websocket_route", "on_event", "Provide",
}  # fmt: skip
"""What takes a function that may as well be a coroutine function."""
IN_GREENLET = {"run_sync", "greenlet_spawn"}
"""Calls in whose function sync code may wait."""
SYNC_CALLS = TO_THREAD | {
    "submit", "Thread", "Process", "Timer", "signal", "listen", "register", "add_job", "reduce", "groupby",
    "apply_async", "delay", "run_sync", "Command",
    "add_command", "every", "do", "default_factory", "Column", "mapped_column", "relationship", "Field",
    "property", "add_middleware_sync", "target",
}  # fmt: skip
"""What calls the function it is given, and does not await."""

__all__ = ["ASYNC_CALLS", "IN_GREENLET", "SYNC_CALLS"]
