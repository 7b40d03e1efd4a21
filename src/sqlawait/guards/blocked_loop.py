"""Blocked loop: blocking code runs on the event loop, and every other request waits.

Blocking database calls are found where they are made, however quick they were this time. Anything else is
found by time: a beat on the loop says that it turns, a thread notices when the beats stop, and only then looks
at the stack. Between two beats each task gets at most one turn, so a task that is seen again is still in the
same one: that is a block. Many tasks of which each is seen once are a loop that has much to do.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

from sqlawait.events import Site
from sqlawait.guards import leaked_connection
from sqlawait.guards.judge import Judge
from sqlawait.guards.looking import look
from sqlawait.guards.scope import Scope, active_for, open_scopes, scope_of_task
from sqlawait.guards.sites import Line, app_stack, frames, innermost, is_app, is_database, is_standard, site_of

_LAGS = 4_096


def blocking_call(what: str) -> None:
    """Judge a blocking database call that is about to be made.

    Raises:
        BlockedLoop: an event loop runs in this thread, and the guard is set to raise.
    """
    if asyncio._get_running_loop() is None:
        return
    chosen = active_for("blocked-loop")
    if chosen is None:
        return
    guards, scope = chosen
    if scope is not None and scope.startup:
        return
    stack = app_stack()
    if _importing(frame.f_code for frame in frames()):  # a server imports the application with its loop running
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


@dataclass(slots=True)
class _Turn:
    """A task, or a callback, that was at work each time the watching thread looked."""

    site: Site | None
    function: str
    prepares: bool
    scope: Scope | None
    first: float
    last: float

    @property
    def span(self) -> float:
        """For how long at least it was at work, in seconds."""
        return self.last - self.first


class Monitor:
    """Watches one event loop: its lag always, its stack when it is blocked.

    Parameters:
        loop: the running loop.
        guards: judge what belongs to no request.
        clock: seconds; what decides how long a block was.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, guards: Judge, *, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._loop = weakref.ref(loop)
        self._guards = guards
        self._clock = clock
        self._thread_id = threading.get_ident()
        self._cpu_clock = (
            time.pthread_getcpuclockid(self._thread_id) if hasattr(time, "pthread_getcpuclockid") else None
        )
        self._after = after = guards.limits.blocked_after
        self._interval = after / 2
        self._patience = 0.75 * after
        """From when on a beat is late: the stack is looked at, again and again, until it comes."""
        self._tick = after / 8
        self._stop = threading.Event()
        self._beats = 0
        self._beat_at = clock()
        self._cpu_at = self._cpu()
        self._turns: dict[object, _Turn] = {}
        self._queued: dict[str, float] = {}
        """How long each thread had waited for a processor when the lag was first noticed."""
        self._warmed_up: set[str] = set()
        self._collected = 0.0
        self._collecting_since = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._runner = _runner()
        self._thread = threading.Thread(target=self._watch, name="sqlawait-loop-watch", daemon=True)
        self.lags: deque[float] = deque(maxlen=_LAGS)
        """Seconds by which the loop came late to its beats, the newest last."""

    def start(self) -> None:
        """Begin the watch."""
        loop = self._loop()
        assert loop is not None
        gc.callbacks.append(self._collecting)
        self._handle = loop.call_later(self._interval, self._beat_again)
        self._thread.start()

    def stop(self) -> None:
        """End the watch, and wait for its thread. A block that has just ended is still reported."""
        if self._handle is not None:
            self._handle.cancel()
        self._stop.set()
        self._thread.join()
        self._unhook()
        if self._turns:
            self._released(self._clock() - self._beat_at)

    def beat(self) -> None:
        """The loop turns."""
        now = self._clock()
        gap = now - self._beat_at
        self.lags.append(max(0.0, gap - self._interval))
        if self._turns:
            self._released(gap)
        self._beats += 1
        self._collected = 0.0
        self._beat_at, self._cpu_at = now, self._cpu()

    def _beat_again(self) -> None:
        loop = self._loop()
        if loop is None or self._stop.is_set():
            return
        self.beat()
        if self._beats % 8 == 0:
            leaked_connection.look(loop)
        self._handle = loop.call_later(self._interval, self._beat_again)

    def settle(self, ending: Scope) -> None:
        """Report a block at the end of the request that made it, though the loop has not turned yet."""
        if self._turns:
            now = self._clock()
            self.lags.append(now - self._beat_at)
            self._released(now - self._beat_at, ending)
            self._beat_at, self._cpu_at = now, self._cpu()

    def is_late(self) -> bool:
        """Whether the beat is so late that it is time to look."""
        return self._clock() - self._beat_at >= self._patience

    def rests(self, code: CodeType) -> bool:
        """Whether the loop waits for events, by the code that runs: that is no block."""
        return code is self._runner or _idle(code)

    def see(self, seen: Sequence[tuple[FrameType, Line]], task: asyncio.Task[Any] | None) -> None:
        """Note who is at work while the beat is late."""
        now = self._clock()
        key: object = task if task is not None else self._callback(seen)
        turn = self._turns.get(key)
        if turn is not None:
            turn.last = now
            turn.site, turn.function, turn.prepares = _where(seen)
        else:
            self._turns[key] = _Turn(*_where(seen), scope_of_task(task), now, now)
            late.append(self)

    def _callback(self, seen: Sequence[tuple[FrameType, Line]]) -> FrameType:
        """The frame of the callback that the loop runs; the frame itself, so that it is no other's."""
        callback = seen[0][0]
        for frame, (code, _) in seen:
            if code is self._runner or code is _HANDLE:
                break
            callback = frame
        return callback

    def _released(self, gap: float, *ending: Scope) -> None:
        """Report the block that has just ended. This runs on the loop, so ``gap`` is the loop's true lag."""
        turns, self._turns = self._turns, {}
        while self in late:
            late.remove(self)
        # Asked only now, when this thread runs again: a wait is added to the statistics at its end.
        waits = [seconds - self._queued.get(thread, seconds) for thread, seconds in queued().items()]
        if gap - max(waits, default=0.0) < self._after and self._cpu() - self._cpu_at < self._after:
            return  # the machine or other threads kept this one from running: the code is not to blame
        if gap - self._collected < self._after:
            return  # the garbage collector's pause, which no line can await
        for each in {*open_scopes(), *ending}:
            each.blocked += min(gap, perf_counter() - each.started)
        turn = max(turns.values(), key=lambda turn: turn.span)
        if turn.span + self._tick < self._after:
            return  # many had their turn, none of them long
        # Alone, it has had the loop since some time between two beats; else since shortly before it was seen.
        seconds = gap - self._interval / 2 if len(turns) == 1 else turn.span + self._tick
        site, function, scope = turn.site, turn.function, turn.scope
        guards = scope.guards if scope is not None else self._guards
        if not guards.on("blocked-loop") or (scope is not None and scope.startup):
            return
        if turn.prepares and self._first_of(scope.label if scope is not None else function):
            return  # a framework that warms up, mappers and statements that are prepared: that happens once
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
        late = -1
        while not self._stop.wait(max(self._tick, self._beat_at + self._patience - self._clock())):
            if not self.is_late():
                continue
            loop = self._loop()
            if loop is None or loop.is_closed():
                self._unhook()
                return
            if not loop.is_running():
                self._beat_at = self._clock()  # paused between two runs of the loop: nothing is blocked
                continue
            seen = look(self._thread_id)
            if not seen or self.rests(seen[0][1][0]) or _importing(code for _, (code, _) in seen):
                continue
            beats = self._beats
            if beats != late:
                late, self._queued = beats, queued()
            task = asyncio.current_task(loop)
            if beats == self._beats:  # still the same lag
                self.see(seen, task)
            del seen, task

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
        return time.clock_gettime(self._cpu_clock) if self._cpu_clock is not None else 0.0


def queued() -> dict[str, float]:
    """Seconds in which each thread of the process was ready to run and the machine had no processor for it.

    Each of them, for one that holds the interpreter's lock holds up the loop's as well. Empty where unknown.
    """
    seconds: dict[str, float] = {}
    with suppress(OSError):  # not Linux
        for thread in _THREADS.iterdir():
            with suppress(OSError, IndexError, ValueError):  # it has ended, or a kernel without the statistics
                seconds[thread.name] = int((thread / "schedstat").read_bytes().split()[1]) / 1e9
    return seconds


_THREADS = Path("/proc/self/task")


late: list[Monitor] = []
"""Those that have seen somebody at work while a beat was late."""
_monitors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Monitor] = weakref.WeakKeyDictionary()


def watch(guards: Judge) -> Monitor | None:
    """Watch the running loop from now on, once a loop; None where the guard is off."""
    loop = asyncio._get_running_loop()
    if loop is None or not guards.on("blocked-loop"):
        return None
    monitor = _monitors.get(loop)
    if monitor is None:
        monitor = _monitors[loop] = Monitor(loop, guards)
        monitor.start()
    return monitor


def unwatch() -> None:
    """End the watch of the running loop."""
    loop = asyncio._get_running_loop()
    monitor = _monitors.pop(loop, None) if loop is not None else None
    if monitor is not None:
        monitor.stop()


def settle(ending: Scope) -> None:
    """Report a block of the running loop that a request has just made; at the request's end."""
    if not late:
        return
    loop = asyncio._get_running_loop()
    monitor = _monitors.get(loop) if loop is not None else None
    if monitor is not None:
        monitor.settle(ending)


def lags() -> list[float]:
    """The recent lags of all watched loops, in seconds."""
    return [lag for monitor in list(_monitors.values()) for lag in list(monitor.lags)]


def _where(seen: Sequence[tuple[FrameType, Line]]) -> tuple[Site | None, str, bool]:
    """The application's innermost line on a stack; what runs; and whether that may be work done only once.

    SQLAlchemy on an async driver waits for nothing while it is at work: long at work it is when it prepares
    something, or when it has very much to load, and that comes again.
    """
    innermost, offset = seen[0][1]
    function = f"{innermost.co_qualname} ({innermost.co_filename}:{site_of(innermost, offset).line})"
    prepares: bool | None = None
    for _, (code, offset) in seen:
        if is_app(code.co_filename):
            return site_of(code, offset), function, bool(prepares)
        if prepares is None and not is_standard(code.co_filename):
            prepares = is_database(code.co_filename)
    return None, function, True


def _runner() -> CodeType | None:
    """What runs the loop, where that has no Python code of its own, as uvloop: it rests in that very frame."""
    task = asyncio.current_task()
    outermost = getattr(task.get_coro(), "cr_frame", None) if task is not None else None
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame is not outermost:
        frame = frame.f_back
    if frame is None or frame.f_back is None or frame.f_back.f_code is _HANDLE:
        return None
    code: CodeType = frame.f_back.f_code
    return code


_HANDLE = asyncio.Handle._run.__code__
"""What asyncio's own loop runs a callback in."""
_RUN_FOREVER = asyncio.BaseEventLoop.run_forever.__code__


def _idle(code: CodeType) -> bool:
    """Whether the loop waits for events: that is its rest, not a block."""
    return code is _RUN_FOREVER or code.co_filename == selectors.__file__


def _importing(running: Iterable[CodeType]) -> bool:
    """Whether a module is being imported: that happens once."""
    return any(code.co_filename.startswith("<frozen importlib") for code in running)


__all__ = ["Monitor", "blocking_call", "lags", "settle", "unwatch", "watch"]
