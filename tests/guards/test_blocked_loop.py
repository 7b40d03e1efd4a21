"""Blocking database calls are found at once, anything else by time; what does not block is left alone."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType, GeneratorType
from typing import Any, Self

import pytest
import uvloop
from sqlalchemy import Engine, create_engine, insert, inspect, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from tests.guards.shop import Base, Customer, Findings

from sqlawait.events import Finding
from sqlawait.exceptions import BlockedLoop
from sqlawait.guards import GuardMiddleware, Guards, Limits, blocked_loop
from sqlawait.guards.looking import look
from sqlawait.guards.sites import Line

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


@pytest.fixture
def blocking(url: str) -> Iterator[Engine]:
    """A blocking engine, as in a code base that has not moved yet."""
    parsed = make_url(url)
    engine = create_engine(parsed.set(drivername=DRIVERS[parsed.drivername]))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


Case = Callable[[Engine], Any]


def get(engine: Engine) -> None:
    with Session(engine) as session:
        session.get(Customer, 1)


def select_in_a_session(engine: Engine) -> None:
    with Session(engine) as session:
        session.scalars(select(Customer)).all()


def legacy_query(engine: Engine) -> None:
    with Session(engine) as session:
        session.query(Customer).all()


def flush(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Customer(id=100))
        session.flush()


def commit(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Customer(id=100))
        session.commit()


def bulk_insert(engine: Engine) -> None:
    with Session(engine) as session:
        session.execute(insert(Customer), [{"id": 100}, {"id": 101}])


def connect(engine: Engine) -> None:
    engine.connect().close()


def begin(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))


def raw_connection(engine: Engine) -> None:
    engine.raw_connection().close()


def reflection(engine: Engine) -> None:
    inspect(engine).get_table_names()


def create_tables(engine: Engine) -> None:
    Base.metadata.create_all(engine)


async def after_an_await(engine: Engine) -> None:
    await asyncio.sleep(0)
    get(engine)


async def in_a_task(engine: Engine) -> None:
    await asyncio.create_task(after_an_await(engine))


async def in_a_callback(engine: Engine) -> None:
    done = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            get(engine)
        except BlockedLoop as error:
            done.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    await done


CAUGHT = [
    get, select_in_a_session, legacy_query, flush, commit, bulk_insert, connect, begin, raw_connection,
    reflection, create_tables, after_an_await, in_a_task, in_a_callback,
]  # fmt: skip


@pytest.mark.parametrize("case", CAUGHT, ids=lambda case: case.__name__)
async def test_a_blocking_database_call_is_found_at_once(
    blocking: Engine, findings: Findings, case: Case
) -> None:
    """However quick it is, with its line, and before it is sent."""
    with (
        Guards(blocked_loop="raise", observers=[findings]) as guards,
        guards.scope("GET /customers"),
        pytest.raises(BlockedLoop, match="runs on the event loop"),
    ):
        made = case(blocking)
        if made is not None:
            await made
    (finding,) = findings
    assert finding.site is not None
    assert finding.site.function == (case.__name__ if case in CAUGHT[:11] else "get")
    assert "run_sync" in finding.fix


async def in_a_thread(engine: Engine) -> None:
    await asyncio.to_thread(get, engine)


async def in_an_executor(engine: Engine) -> None:
    await asyncio.get_running_loop().run_in_executor(None, commit, engine)


async def in_a_thread_of_its_own(engine: Engine) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def run() -> None:
        get(engine)
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=run)
    thread.start()
    await done.wait()
    thread.join()


def a_session_that_sends_nothing(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Customer(id=100))
        session.expunge_all()


def a_statement_that_is_only_built(engine: Engine) -> None:
    str(select(Customer).where(Customer.id == 1).compile(engine))


async def what_a_thread_has_loaded(engine: Engine) -> None:
    customer = Customer(id=100)
    with Session(engine, expire_on_commit=False) as session:
        session.add(customer)
        await asyncio.to_thread(session.commit)
        assert session.get(Customer, 100) is customer
        assert customer.name == "Ada"


SILENT = [
    in_a_thread, in_an_executor, in_a_thread_of_its_own, a_session_that_sends_nothing,
    a_statement_that_is_only_built, what_a_thread_has_loaded,
]  # fmt: skip


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.__name__)
async def test_silent_where_the_loop_goes_on(blocking: Engine, findings: Findings, case: Case) -> None:
    """Blocking code in a thread is where it belongs; what sends nothing does not block."""
    with Guards(blocked_loop="raise", observers=[findings]) as guards, guards.scope("GET /customers"):
        made = case(blocking)
        if made is not None:
            await made
    assert findings == []


async def test_a_line_is_reported_once_a_request(blocking: Engine, findings: Findings) -> None:
    """A loop over a blocking session is one mistake, not a hundred."""
    with Guards(observers=[findings]) as guards, guards.scope("GET /customers"):
        for _ in range(10):
            with Session(blocking) as session:
                session.get(Customer, 1)
    assert len(findings.of("blocked-loop")) == 1


def test_silent_without_a_loop(blocking: Engine, findings: Findings) -> None:
    """A script may block."""
    with (
        Guards(blocked_loop="raise", observers=[findings]) as guards,
        guards.scope("a script"),
        Session(blocking) as session,
    ):
        session.get(Customer, 1)
    assert findings == []


async def test_silent_in_run_sync(any_engine: AsyncEngine, findings: Findings) -> None:
    """The sync session inside of run_sync awaits below."""
    with Guards(blocked_loop="raise", observers=[findings]) as guards, guards.scope("GET /customers"):
        async with AsyncSession(any_engine) as session:
            await session.run_sync(lambda sync: sync.get(Customer, 1))
    assert findings == []


async def test_silent_while_the_application_starts(blocking: Engine, findings: Findings) -> None:
    """Nobody waits yet: creating tables or reading settings at the start is no mistake."""

    async def app(scope: object, receive: object, send: object) -> None:
        with Session(blocking) as session:
            session.execute(text("SELECT 1"))

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    guarded = GuardMiddleware(app, Guards(blocked_loop="raise", observers=[findings]))
    await guarded({"type": "lifespan"}, nothing, nothing)
    assert findings == []


class Watched:
    """A monitor on the running loop, and a way to wait for its finding."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.found = asyncio.Event()
        self.guards = Guards(observers=[self.findings, self._note], limits=Limits(blocked_after=0.05))

    def _note(self, event: object) -> None:
        if isinstance(event, Finding):
            self.found.set()

    async def __aenter__(self) -> Self:
        self.guards.install()
        blocked_loop.watch(self.guards)
        await beats(2)
        return self

    async def __aexit__(self, *_: object) -> None:
        blocked_loop.unwatch()
        self.guards.remove()


async def beats(count: int) -> None:
    """Let the monitor's beat come round."""
    before = len(blocked_loop.lags())
    while len(blocked_loop.lags()) < before + count:  # noqa: ASYNC110 # a beat is no event that one could await
        await asyncio.sleep(0.001)


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1_000))


async def until_found(watched: Watched, block: Callable[[float], None]) -> None:
    """Block, on a busy machine several times: what the watch could not see for sure it does not report."""
    for _ in range(20):
        block(0.3)
        await beats(2)
        if watched.found.is_set():
            return


@pytest.mark.parametrize("block", [time.sleep, work], ids=["waiting", "computing"])
async def test_other_blocking_code_is_found_by_time(block: Callable[[float], None]) -> None:
    """With the line that blocked, the request, and how long it really took."""
    async with Watched() as watched:
        with watched.guards.scope("GET /slow"):
            await until_found(watched, block)
    finding = watched.findings.of("blocked-loop")[0]
    assert finding.seconds > 0.25
    assert finding.site is not None
    assert finding.site.function in {"until_found", "work"}
    assert "in GET /slow" in finding.message
    assert "to_thread" in finding.fix


async def test_silent_while_the_garbage_collector_runs() -> None:
    """Its pauses are nobody's line to change."""
    many = [[number] for number in range(100_000)]
    async with Watched() as watched:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            gc.collect()
        await beats(2)
    assert watched.findings == []
    del many


async def test_every_request_that_waited_is_told() -> None:
    """The blocked time counts for each request that ran meanwhile, not only for the one at fault."""
    async with Watched() as watched:
        with watched.guards.scope("GET /other") as other:
            await until_found(watched, work)
    assert other.blocked > 0.15


async def test_nothing_is_left_behind() -> None:
    """The watching thread ends with the watch."""
    async with Watched():
        assert any(thread.name == "sqlawait-loop-watch" for thread in threading.enumerate())
    assert not any(thread.name == "sqlawait-loop-watch" for thread in threading.enumerate())


def test_a_loop_that_was_not_told_to_stop_watching_is_let_go() -> None:
    """Where the loop ends without a word, the thread notices and ends too."""
    guards = Guards(limits=Limits(blocked_after=0.02))
    before = threading.active_count()

    async def run() -> None:
        blocked_loop.watch(guards)

    asyncio.run(run())
    (thread,) = [one for one in threading.enumerate() if one.name == "sqlawait-loop-watch"]
    thread.join(5)
    assert threading.active_count() == before


Seen = list[tuple[FrameType, Line]]


class Hands:
    """A monitor without its thread, and its clock's hands: what it makes of what it sees, on any machine."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.now = 0.0
        self.queued = 0.0
        """Seconds in which the loop's thread was ready to run and had no processor."""
        guards = Guards(observers=[self.findings])
        self.monitor = blocked_loop.Monitor(asyncio.get_running_loop(), guards, clock=lambda: self.now)

    def block(
        self, *seen: tuple[Seen, asyncio.Task[None] | None], seconds: float, starved: float = 0.0
    ) -> None:
        """Nothing turns for so long, but for those who are seen at work, one after the other."""
        self.monitor._queued = {"loop": self.queued}
        self.queued += starved
        end = self.now + seconds
        while self.now + 0.0125 < end:
            self.now += 0.0125
            if self.monitor.is_late():
                stack, task = seen[int((1 - (end - self.now) / seconds) * len(seen))]
                self.monitor.see(stack, task)
        self.now = end
        self.monitor.beat()


def line_of_the_application() -> Seen:
    return look(threading.get_ident())[1:]  # without the line in look()


@pytest.fixture
def line_of_a_library() -> Iterator[Seen]:
    """A frame of Python's own, with no line of the application further out."""
    walk = os.walk(".")
    next(walk)
    assert isinstance(walk, GeneratorType)
    frame = walk.gi_frame
    assert frame is not None
    yield [(frame, (frame.f_code, frame.f_lasti))]
    walk.close()


async def test_a_framework_may_warm_up_once(line_of_a_library: Seen) -> None:
    """A block without a line of the application is told of from its second time on."""
    hands = Hands()
    hands.block((line_of_a_library, None), seconds=0.5)
    assert hands.findings == []
    hands.block((line_of_a_library, None), seconds=0.5)
    (finding,) = hands.findings
    assert finding.site is None
    assert "<frozen os>" in finding.message or "os.py" in finding.message


async def test_the_applications_own_line_is_told_the_first_time() -> None:
    """Where somebody can change it, there is no warming up."""
    hands = Hands()
    hands.block((line_of_the_application(), None), seconds=0.5)
    (finding,) = hands.findings
    assert finding.site is not None
    assert finding.site.function == "line_of_the_application"
    assert finding.seconds == pytest.approx(0.5, abs=0.03)


async def test_a_block_at_the_end_of_a_busy_turn_is_as_long_as_it_was_seen() -> None:
    """The time before it belongs to those who had it."""
    hands = Hands()
    one, other = [asyncio.create_task(asyncio.sleep(0)) for _ in range(2)]
    stack = line_of_the_application()
    hands.block((stack, one), (stack, other), (stack, other), (stack, other), seconds=0.8)
    (finding,) = hands.findings
    assert finding.seconds == pytest.approx(0.6, abs=0.05)
    await asyncio.gather(one, other)


async def test_silent_where_many_tasks_have_a_short_turn_each() -> None:
    """A loop that has much to do is late, and no line is at fault."""
    hands = Hands()
    tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(20)]
    stack = line_of_the_application()
    hands.block(*((stack, task) for task in tasks), seconds=1.0)
    assert hands.findings == []
    assert hands.monitor.lags[-1] == pytest.approx(1.0, abs=0.06)
    await asyncio.gather(*tasks)


async def test_silent_where_the_machine_had_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that was ready to run and had no processor is told by the system's statistics."""
    hands = Hands()
    monkeypatch.setattr(blocked_loop, "queued", lambda: {"loop": hands.queued})
    hands.block((line_of_the_application(), None), seconds=0.5, starved=0.45)
    assert hands.findings == []
    hands.block((line_of_the_application(), None), seconds=0.5, starved=0.35)
    assert len(hands.findings) == 1


async def test_silent_while_the_loop_turns() -> None:
    """Turns may be as many as they like: between them comes the beat."""
    hands = Hands()
    for _ in range(100):
        hands.block((line_of_the_application(), None), seconds=0.05)
    assert hands.findings == []
    assert max(hands.monitor.lags) < 0.01


async def test_silent_below_the_threshold() -> None:
    """What is shorter than the limit may be."""
    hands = Hands()
    for _ in range(3):
        hands.block((line_of_the_application(), None), seconds=0.09)
    assert hands.findings == []


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_loop_that_waits_is_at_rest(run: Callable[[Coroutine[Any, Any, object]], object]) -> None:
    """A late beat is then no block of the line that runs it; uvloop waits in no Python code of its own."""

    async def main() -> tuple[bool, bool]:
        thread = threading.get_ident()
        monitor = blocked_loop.Monitor(asyncio.get_running_loop(), Guards())

        def rests() -> bool:
            return monitor.rests(look(thread)[0][1][0])

        def comes_to_rest() -> bool:
            deadline = time.monotonic() + 5
            while not (at_rest := rests()) and time.monotonic() < deadline:
                pass  # it still starts this thread
            return at_rest

        return await asyncio.to_thread(comes_to_rest), rests()

    assert run(main()) == (True, False)
