"""Names looked up in threads of their own.

The event loop's threads are few, and files, hashes and regexes need them too. A name whose servers do not answer holds
a thread for up to half a minute, and anyone who may name an endpoint can own such names: a handful of them would stop
all that works in threads. These are many, hold up nothing else, and keep no process from ending.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

MAX_LOOKUPS = 64
"""Look-ups of one resolver under way at a time; more wait."""


class ThreadsResolver(AbstractResolver):
    """The system's resolver, asked in daemon threads. Has no time limit of its own."""

    def __init__(self, at_a_time: int = MAX_LOOKUPS) -> None:
        self._room = asyncio.Semaphore(at_a_time)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError when there is none, UnicodeError for what is no name."""
        await self._room.acquire()  # until the thread ends, whether or not anybody still waits for it
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def finish(found: list[Any] | Exception) -> None:
            self._room.release()
            if answer.done():
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look_up() -> None:
            found: list[Any] | Exception
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                found = error
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(finish, found)

        try:
            threading.Thread(target=look_up, name="look-up", daemon=True).start()
        except RuntimeError as error:
            finish(OSError(str(error)))
        return [_result(host, *each) for each in await answer]

    async def close(self) -> None:
        """Threads that are still at work end by themselves."""


def _result(host: str, family: int, _kind: int, protocol: int, _name: str, address: Any) -> ResolveResult:
    zone = address[3] if family == socket.AF_INET6 and len(address) > 3 else 0
    return ResolveResult(
        hostname=host,
        host=f"{address[0]}%{zone}" if zone else address[0],
        port=address[1],
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
