"""The latency between an app and its database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from sqlawait.bench.child import Child
from sqlawait.bench.proxy import Proxy, precise_loop


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    ended: list[asyncio.Task[None] | None] = []

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(repeat, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in ended if task))


@pytest.fixture
def loop_runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        yield runner


@pytest.mark.parametrize("delay", [0.001, 0.005, 0.02])
def test_it_adds_the_stated_delay_in_each_direction(loop_runner: asyncio.Runner, delay: float) -> None:
    """No round trip takes less than twice the delay, and the quickest little more."""

    async def round_trips() -> list[float]:
        async with echo() as port, Proxy("127.0.0.1", port, delay=delay) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            times = []
            for _ in range(15):
                start = time.perf_counter()
                writer.write(b"ping")
                assert await reader.readexactly(4) == b"ping"
                times.append(time.perf_counter() - start)
            writer.close()
            await writer.wait_closed()
            return times

    times = loop_runner.run(round_trips())
    assert min(times) >= 2 * delay
    assert min(times) < 2 * delay + 0.01


def test_order_is_kept_when_the_delay_is_made_shorter(loop_runner: asyncio.Runner) -> None:
    """What was sent first arrives first, also where it was sent under a longer delay."""

    async def run() -> bytes:
        async with echo() as port, Proxy("127.0.0.1", port, delay=0.05) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            for number in range(20):
                writer.write(b"%02d" % number)
                await asyncio.sleep(0.001)
                if number == 10:
                    proxy.delay = 0.0
            answer = await reader.readexactly(40)
            writer.close()
            await writer.wait_closed()
            return answer

    assert loop_runner.run(run()) == b"".join(b"%02d" % number for number in range(20))


def test_it_carries_much_data_and_then_the_end(loop_runner: asyncio.Runner) -> None:
    """A megabyte comes back whole, and closing one side closes the other."""

    async def run() -> bytes:
        async with echo() as port, Proxy("127.0.0.1", port, delay=0.002) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(bytes(1_000_000))
            answer = await reader.readexactly(1_000_000)
            writer.write_eof()
            rest = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer + rest

    assert loop_runner.run(run()) == bytes(1_000_000)


def test_an_app_sees_it_when_the_database_is_not_there(loop_runner: asyncio.Runner) -> None:
    """Where nothing listens behind the proxy, the connection is closed and does not hang."""

    async def run() -> bytes:
        async with Proxy("127.0.0.1", 1) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            await writer.wait_closed()
            return answer

    assert loop_runner.run(run()) == b""


def test_as_a_process_it_takes_another_delay_and_ends_with_its_input() -> None:
    """The process says its port, confirms a new delay, and is gone when its parent closes it."""
    with Child("sqlawait.bench.proxy", "127.0.0.1", "1") as proxy:
        assert proxy.greeting["port"] > 0
        assert proxy.ask({"delay": 0.005}) == {"delay": 0.005}
