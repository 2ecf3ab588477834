"""A message that a process sends to itself, to know that the channel carries what it publishes.

A connection can be dead without an error: a server that is stopped, a network that swallows packets. Silence says
nothing by itself, for there may be nothing to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NoReturn
from uuid import uuid4

from sluicegate.core.metrics import EVENTS_ECHO_SECONDS
from sluicegate.events.failures import ChannelError
from sluicegate.events.messages import Kind, Message

ECHO_SECONDS = 2.0
"""How often an echo is sent. It has one and a half times as long to come back."""
_SLICES = 6


class Echo:
    """One echo after the other; the marks of other processes are not ours to answer."""

    def __init__(self, seconds: float = ECHO_SECONDS) -> None:
        self._seconds = seconds
        self._sender = uuid4().hex
        self._number = 0
        self._back = asyncio.Event()

    @property
    def patience(self) -> float:
        """How many seconds an answer of the channel may take."""
        return self._seconds * 1.5

    def next(self) -> Message:
        """The message to send now; only its own return counts from here on."""
        self._number += 1
        self._back.clear()
        return Message("*", 0, 0, Kind.ECHO, self._mark)

    def hear(self, mark: str) -> None:
        """Takes an echo that the channel brought, of whichever process."""
        if mark == self._mark:
            self._back.set()

    async def prove(self, publish: Callable[[Message], Awaitable[None]], heard: Callable[[], None]) -> NoReturn:
        """Sends echoes for ever and calls `heard` for each that is back. Raises ChannelError when one is not in time.

        Raises what `publish` raises.
        """
        clock = asyncio.get_running_loop().time
        while True:
            sent = clock()
            await publish(self.next())
            await self._wait()
            EVENTS_ECHO_SECONDS.observe(clock() - sent)
            heard()
            await asyncio.sleep(self._seconds)

    async def _wait(self) -> None:
        # In slices: after this process itself was held up, its late timer must not count as the channel's silence.
        for _ in range(_SLICES):
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience / _SLICES):
                    await self._back.wait()
                    return
        raise ChannelError(
            f"What was published did not come back within {self.patience:g} s.",
            hint="The event channel's server hangs, or is overloaded.",
        )

    @property
    def _mark(self) -> str:
        return f"{self._sender}.{self._number}"
