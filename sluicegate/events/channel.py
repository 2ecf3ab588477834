"""The channel between processes: one stream of texts that everybody publishes to and everybody receives.

`memory://` is the embedded mode's: broadcaster's in-process backend. Those for several processes, over Redis and
PostgreSQL, may lose messages, as long as they say so: by raising, by ending the stream, or with a RESYNC message.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast
from urllib.parse import parse_qs

from broadcaster import Broadcast, Event

from sluicegate.core.errors import ConfigurationError
from sluicegate.events.backend import Lost, ServerBackend
from sluicegate.events.failures import ChannelError

CHANNEL = "sluicegate"
"""The one channel of an installation: the hub routes by key, so that a subscription costs the server nothing.

Installations that share a server take names of their own: `…?channel=NAME`.
"""
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,63}")  # PostgreSQL's limit; nothing that would have to be quoted anywhere


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


class ServerChannel:
    """A channel between processes: a backend of its own, with new connections, for each `subscribe`."""

    local = False

    def __init__(self, make: Callable[[], ServerBackend], name: str) -> None:
        self._make = make
        self._name = name
        self._broadcast: Broadcast | None = None

    async def publish(self, message: str) -> None:
        """Sends over the connections of the subscription. Raises ChannelError when there is none, or when it fails."""
        if self._broadcast is None:
            raise ChannelError("The event channel is not connected.")
        await self._broadcast.publish(self._name, message)

    @asynccontextmanager
    async def subscribe(self) -> AsyncGenerator[AsyncIterator[str]]:
        """The messages of every process. Raises ChannelError, also while iterating, once a connection is lost."""
        backend = self._make()
        broadcast = Broadcast(backend=backend)
        async with broadcast, broadcast.subscribe(self._name) as events:
            self._broadcast = broadcast
            try:
                yield _texts_until_lost(events, backend)
            finally:
                self._broadcast = None


async def _texts_until_lost(subscriber: Any, backend: ServerBackend) -> AsyncIterator[str]:
    async for event in cast("AsyncIterator[Event]", subscriber):
        if isinstance(event, Lost):
            raise event.error
        backend.taken()
        yield event.message


def open_channel(url: str) -> Channel:
    """The channel of SLUICEGATE_EVENTS_URL. Connects to nothing yet.

    Raises ConfigurationError for a kind that there is no backend for, and for a URL that cannot be right.
    """
    address, name = _without_name(url)
    scheme = address.partition(":")[0].lower()
    if scheme == "memory":
        return MemoryChannel()
    # Each library is loaded where it is used: the embedded mode does without.
    if scheme in ("redis", "rediss", "unix"):
        from sluicegate.events.redis_backend import RedisBackend

        RedisBackend(address, name)
        return ServerChannel(lambda: RedisBackend(address, name), name)
    if scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        from sluicegate.events.postgres_backend import PostgresBackend

        address = "postgresql" + address[len(scheme) :]
        return ServerChannel(lambda: PostgresBackend(address, name), name)
    raise ConfigurationError(
        f"SLUICEGATE_EVENTS_URL names {scheme!r}, which this version has no channel for.",
        hint="Use memory://, redis://… or postgresql://…",
    )


def _without_name(url: str) -> tuple[str, str]:
    """The URL without its option `channel`, and that, or the default."""
    address, _, query = url.partition("?")
    name = parse_qs(query, keep_blank_values=True).get("channel", [CHANNEL])[0]
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "The option channel of SLUICEGATE_EVENTS_URL is not a name.",
            hint="1 to 63 of A-Z, a-z, 0-9 and _ . : -",
        )
    options = "&".join(part for part in query.split("&") if part and part.partition("=")[0] != "channel")
    return (f"{address}?{options}" if options else address), name
