"""Names whose servers do not answer, and those beside them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sluicegate.core.net import Connector
from sluicegate.core.resolving import ThreadsResolver

SLOW = 40
"""More than the event loop has threads on any machine: at most 32."""


class Names:
    """The system's resolver: names that end in `.slow` have no answer until `answer` is set."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked = threading.Semaphore(0)
        self._real = socket.getaddrinfo

    def look_up(self, host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host.endswith(".slow"):
            self.asked.release()
            self.answer.wait(30)
            host = "127.0.0.1"
        return self._real(host, port, *rest, **options)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    yield names
    names.answer.set()


async def test_slow_names_leave_threads_to_all_else_and_look_ups_to_others(names: Names) -> None:
    async with Connector("127.0.0.1,::1") as connector:
        slow = [asyncio.create_task(connector.resolver.resolve(f"{n}.slow", 443)) for n in range(SLOW)]
        await asyncio.sleep(0)
        async with asyncio.timeout(4):
            assert await asyncio.to_thread(lambda: 7) == 7
            found = await connector.resolver.resolve("localhost", 80)
            assert found[0]["host"] in ("127.0.0.1", "::1")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_so_many_are_under_way_at_a_time_also_when_nobody_waits_for_them_any_more(names: Names) -> None:
    resolver = ThreadsResolver(at_a_time=2)
    tasks = [asyncio.create_task(resolver.resolve(f"{n}.slow", 443)) for n in range(2)]
    await asyncio.to_thread(lambda: [names.asked.acquire(timeout=10) for _ in range(2)])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    third = asyncio.create_task(resolver.resolve("third.slow", 443))
    await asyncio.sleep(0)
    assert not names.asked.acquire(blocking=False)
    names.answer.set()
    async with asyncio.timeout(5):
        assert [result["host"] for result in await third] == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["name.invalid", "a" * 64 + ".test", "a..b"])
async def test_what_is_no_name_raises(host: str) -> None:
    resolver = ThreadsResolver(at_a_time=1)
    for _ in range(2):  # and leaves its place
        with pytest.raises((OSError, UnicodeError)):
            await resolver.resolve(host, 443)


async def test_addresses_come_as_the_connector_wants_them() -> None:
    (found,) = await ThreadsResolver().resolve("127.0.0.1", 81)
    assert (found["host"], found["port"], found["family"]) == ("127.0.0.1", 81, socket.AF_INET)
    assert found["flags"] == socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
