"""Hears what PostgreSQL's channels are notified of, on a connection of its own that is made again when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import Relay
from pgqueuer.ports.driver import NotifyCallback

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
"""How often a silent connection is tried: the other end may be gone without a word."""
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
_UNTYPED = cast("Any", asyncpg)


class Listener:
    """`arguments`: what the driver connects with. What is notified while the connection is lost is not heard."""

    def __init__(self, arguments: Mapping[str, Any], *, connected: Callable[[], None]) -> None:
        self._arguments = arguments
        self._connected = connected
        self._heard: list[tuple[str, Relay]] = []
        self._connection: Any = None
        self._lock = asyncio.Lock()

    async def add(self, channel: str, callback: NotifyCallback) -> None:
        """Calls `callback` with the payload of each notification on the channel, from now or the next connection on."""
        async with self._lock:
            self._heard.append((channel, Relay(callback)))
            if self._connection is not None:
                try:
                    await self._connection.add_listener(channel, Relay(callback))
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    # The next connection listens to all.
                    self._connection.terminate()

    async def run(self) -> None:
        """Until it is canceled."""
        wait = FIRST_WAIT_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # Not the error itself: what a driver says of a connection may hold the address.
                logger.warning("The channel of jobs is not heard: %s", type(error).__name__)
            except Exception:
                logger.exception("The channel of jobs is not heard")
            if clock() - began > CHECK_SECONDS:
                wait = FIRST_WAIT_SECONDS
            await asyncio.sleep(wait)
            wait = min(LONGEST_WAIT_SECONDS, wait * 2)

    async def _listen(self) -> None:
        connection: Any = await _UNTYPED.connect(**self._arguments)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(partial(_set, lost))
            async with self._lock:
                for channel, relay in self._heard:
                    await connection.add_listener(channel, relay)
                self._connection = connection
            self._connected()
            while not lost.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await lost.wait()
                if not lost.is_set():
                    await connection.execute("SELECT 1")
        finally:
            self._connection = None
            connection.terminate()
        logger.warning("The connection that hears of jobs was lost and is made again")


def _set(event: asyncio.Event, _connection: object) -> None:
    event.set()
