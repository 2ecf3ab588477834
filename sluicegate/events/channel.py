"""The channel between processes: one stream of texts that everybody publishes to and everybody receives.

`memory://` is the embedded mode's: broadcaster's in-process backend. A backend for several processes keeps this
interface and may lose messages, as long as it says so: by raising, by ending the stream, or with a RESYNC message.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from broadcaster import Broadcast, Event

from sluicegate.core.errors import ConfigurationError

CHANNEL = "sluicegate"
"""The one channel of an installation: the hub routes by key, so that a subscription costs the server nothing."""


class Channel(Protocol):
    """A broadcast stream of texts. `local`: nobody outside this process hears it."""

    local: bool

    async def publish(self, message: str) -> None:
        """Sends to every subscriber of every process, this one too. Raises when it cannot."""
        ...

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Connects; what is published from then on. Raises or ends when the connection is lost; may be called again."""
        ...


class MemoryChannel:
    """broadcaster's `memory://` backend, one connection for each `subscribe`."""

    local = True

    def __init__(self) -> None:
        self._broadcast: Broadcast | None = None

    async def publish(self, message: str) -> None:
        """Sends to the subscriber of this process; without one there is nobody to send to."""
        if self._broadcast is not None:
            await self._broadcast.publish(CHANNEL, message)

    @asynccontextmanager
    async def subscribe(self) -> AsyncGenerator[AsyncIterator[str]]:
        """The messages of this process."""
        broadcast = Broadcast("memory://")
        async with broadcast, broadcast.subscribe(CHANNEL) as events:
            self._broadcast = broadcast
            try:
                yield _texts(events)
            finally:
                self._broadcast = None


async def _texts(subscriber: Any) -> AsyncIterator[str]:
    # broadcaster's annotation says that the iterator is a coroutine of one; what it yields are events.
    async for event in cast("AsyncIterator[Event]", subscriber):
        yield event.message


def open_channel(url: str) -> Channel:
    """The channel of SLUICEGATE_EVENTS_URL. Raises ConfigurationError for a kind that there is no backend for."""
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryChannel()
    raise ConfigurationError(
        f"SLUICEGATE_EVENTS_URL names {scheme!r}, which this version has no channel for.", hint="Use memory://"
    )
