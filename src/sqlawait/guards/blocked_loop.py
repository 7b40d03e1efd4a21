"""Blocked loop: blocking code runs on the event loop, and every other request waits.

Blocking database calls are found where they are made, however quick they were this time. Anything else is
found by time: a beat on the loop says that it turns, a thread notices when the beats stop, and only then looks
at the stack.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections import Counter, deque
from contextlib import suppress
from time import perf_counter
from types import FrameType
from typing import Any

from sqlawait.events import Site
from sqlawait.guards import leaked_connection
from sqlawait.guards.guards import Guards, active_for, running_loop
from sqlawait.guards.scope import Scope, open_scopes, scope_of_task
from sqlawait.guards.sites import app_stack, innermost, is_app, site_of

_LAGS = 4_096


def blocking_call(what: str) -> None:
    """Judge a blocking database call that is about to be made.

    Raises:
        BlockedLoop: an event loop runs in this thread, and the guard is set to raise.
    """
    if running_loop() is None:
        return
    chosen = active_for("blocked-loop")
    if chosen is None:
        return
    guards, scope = chosen
    if scope is not None and scope.startup:
        return
    stack = app_stack()
    if _importing(sys._getframe()):  # a server imports the application with its loop running
        return
    site = innermost(stack)
    raises = guards.actions["blocked-loop"] == "raise"
    if scope is not None and not scope.first("blocked-loop", site) and not raises:
        return
    guards.report(
        "blocked-loop",
        f"a blocking database call ({what}) at {site or 'a library'} runs on the event loop;"
        " use an async engine and AsyncSession, make the route def instead of async def,"
        " or move the call to a thread: await db.run_sync(function)",
        fix="await db.run_sync(function)",
        site=site,
        scope=scope,
    )


class Monitor:
    """Watches one event loop: its lag always, its stack when it is blocked."""

    def __init__(self, loop: asyncio.AbstractEventLoop, guards: Guards) -> None:
        self._loop = weakref.ref(loop)
        self._guards = guards
        self._thread_id = threading.get_ident()
        self._native_id = threading.get_native_id()
        self._clock = (
            time.pthread_getcpuclockid(self._thread_id) if hasattr(time, "pthread_getcpuclockid") else None
        )
        self._after = guards.limits.blocked_after
        self._interval = self._after / 4
        self._stop = threading.Event()
        self._beats = 0
        self._beat_at = perf_counter()
        self._cpu_at = self._cpu()
        self._samples: Counter[tuple[Site | None, str, Scope | None]] = Counter()
        self._stalled = 0.0
        self._warmed_up: set[str] = set()
        self._collected = 0.0
        self._collecting_since = 0.0
        self.lags: deque[float] = deque(maxlen=_LAGS)
        """Seconds by which the loop came late to its beats, the newest last."""
        gc.callbacks.append(self._collecting)
        self._handle = loop.call_later(self._interval, self._beat)
        self._thread = threading.Thread(target=self._watch, name="sqlawait-loop-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch, and wait for its thread. A block that has just ended is still reported."""
        self._handle.cancel()
        self._stop.set()
        self._thread.join()
        self._unhook()
        if self._samples:
            self._released(perf_counter() - self._beat_at)

    def _beat(self) -> None:
        loop = self._loop()
        if loop is None or self._stop.is_set():
            return
        now = perf_counter()
        gap = now - self._beat_at
        self.lags.append(max(0.0, gap - self._interval))
        if self._samples:
            self._released(gap)
        self._beats += 1
        self._collected = 0.0
        self._beat_at, self._cpu_at = now, self._cpu()
        if self._beats % 8 == 0:
            leaked_connection.look(loop)
        self._handle = loop.call_later(self._interval, self._beat)

    def settle(self, ending: Scope) -> None:
        """Report a block at the end of the request that made it, though the loop has not turned yet."""
        if self._samples:
            now = perf_counter()
            self.lags.append(now - self._beat_at)
            self._released(now - self._beat_at, ending)
            self._beat_at, self._cpu_at = now, self._cpu()

    def _released(self, gap: float, *ending: Scope) -> None:
        """Report the block that has just ended. This runs on the loop, so ``gap`` is its true length."""
        samples, self._samples = self._samples, Counter()
        stalled, self._stalled = self._stalled, 0.0
        if stalled > gap / 2 and self._cpu() - self._cpu_at < self._after:
            return  # the machine or other threads kept this one from running: the code is not to blame
        if gap - self._collected < self._after:
            return  # the garbage collector's pause, which no line can await
        (site, function, scope), _ = samples.most_common(1)[0]
        seconds = gap - self._interval / 2  # it began between two beats
        for each in {*open_scopes(), *ending}:
            each.blocked += min(seconds, perf_counter() - each.started)
        guards = scope.guards if scope is not None else self._guards
        if not guards.on("blocked-loop") or (scope is not None and scope.startup):
            return
        if site is None and self._first_of(scope.label if scope is not None else function):
            return  # no line of the application's: a framework warming up does so once
        during = f" in {scope.label}" if scope is not None else ""
        guards.report(
            "blocked-loop",
            f"the event loop was blocked for {seconds * 1000:.0f} ms at {site or function}{during};"
            " await an async version of the call, or run it in a thread: await asyncio.to_thread(function)",
            fix="await asyncio.to_thread(function)",
            site=site,
            scope=scope,
            seconds=seconds,
            may_raise=False,  # the code at fault has already gone on
        )

    def _first_of(self, what: str) -> bool:
        if what in self._warmed_up:
            return False
        self._warmed_up.add(what)
        return True

    def _watch(self) -> None:
        """The thread: notice that the beats have stopped, and look where the loop is."""
        expected = perf_counter() + self._interval
        beats, queued, lost = -1, 0.0, 0.0
        while not self._stop.wait(self._interval):
            now = perf_counter()
            late, expected = now - expected, now + self._interval
            if beats != self._beats:
                beats, queued = self._beats, _queued(self._native_id)
                lost = 0.0
            if late > self._interval:
                lost += late  # this thread came late itself: nothing is known of that time
            if now - self._beat_at < self._after + self._interval:
                continue
            loop = self._loop()
            if loop is None or loop.is_closed():
                self._unhook()
                return
            if not loop.is_running():
                self._beat_at = now  # paused between two runs of the loop: nothing is blocked
                continue
            frame = sys._current_frames().get(self._thread_id)
            if frame is None or _idle(frame) or _importing(frame):
                continue
            found = (*_where(frame), scope_of_task(asyncio.current_task(loop)))
            del frame
            if beats == self._beats:  # still the same block
                self._stalled = max(lost, _queued(self._native_id) - queued)
                self._samples[found] += 1

    def _collecting(self, phase: str, _: dict[str, int]) -> None:
        """The garbage collector begins or ends, in whichever thread it struck."""
        if threading.get_ident() == self._thread_id:
            now = perf_counter()
            if phase == "start":
                self._collecting_since = now
            else:
                self._collected += now - self._collecting_since

    def _unhook(self) -> None:
        with suppress(ValueError):
            gc.callbacks.remove(self._collecting)

    def _cpu(self) -> float:
        return time.clock_gettime(self._clock) if self._clock is not None else 0.0


def _queued(native_id: int) -> float:
    """Seconds in which a thread was ready to run and the machine had no processor for it; 0 where unknown."""
    try:
        with open(f"/proc/self/task/{native_id}/schedstat", "rb") as file:  # noqa: PTH123 # 40 times a second
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # not Linux, or a kernel without the statistics
        return 0.0


_monitors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Monitor] = weakref.WeakKeyDictionary()


def watch(guards: Guards) -> Monitor | None:
    """Watch the running loop from now on, once a loop; None where the guard is off."""
    loop = running_loop()
    if loop is None or not guards.on("blocked-loop"):
        return None
    monitor = _monitors.get(loop)
    if monitor is None:
        monitor = _monitors[loop] = Monitor(loop, guards)
    return monitor


def unwatch() -> None:
    """End the watch of the running loop."""
    loop = running_loop()
    monitor = _monitors.pop(loop, None) if loop is not None else None
    if monitor is not None:
        monitor.stop()


def settle(ending: Scope) -> None:
    """Report a block of the running loop that a request has just made; at the request's end."""
    loop = running_loop()
    monitor = _monitors.get(loop) if loop is not None else None
    if monitor is not None:
        monitor.settle(ending)


def lags() -> list[float]:
    """The recent lags of all watched loops, in seconds."""
    return [lag for monitor in list(_monitors.values()) for lag in list(monitor.lags)]


def _where(frame: FrameType) -> tuple[Site | None, str]:
    """The application's innermost line on a stack, and what runs where there is none."""
    code = frame.f_code
    function = f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
    current: FrameType | None = frame
    while current is not None:
        if is_app(current.f_code.co_filename):
            return site_of(current.f_code, current.f_lineno), function
        current = current.f_back
    return None, function


def _idle(frame: FrameType) -> bool:
    """Whether the loop waits for events: that is its rest, not a block."""
    name = frame.f_code.co_filename
    return name.endswith("selectors.py") or (
        name.endswith("base_events.py") and frame.f_code.co_name == "run_forever"
    )


def _importing(frame: Any) -> bool:
    """Whether a module is being imported: that happens once."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


__all__ = ["Monitor", "blocking_call", "lags", "settle", "unwatch", "watch"]
