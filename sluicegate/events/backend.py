"""What the backends for several processes have in common: they deliver, or they say that they are lost.

They plug into broadcaster's extension point. Why its own backends for servers are not used: docs/decisions/0011.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from contextlib import suppress
from typing import Any, ClassVar

from broadcaster import BroadcastBackend, Event

from sluicegate.core.metrics import EVENTS_DROPPED
from sluicegate.events.failures import NETWORK, ChannelError, Failure, named
from sluicegate.events.messages import RESYNC

CONNECT_SECONDS = 3.0
"""A server that does not answer within this is tried again from the beginning."""
CLOSE_SECONDS = 1.0
MAX_ARRIVED = 10_000
"""So many messages may wait in this process; beyond, all are dropped for one RESYNC."""
_MAX_HANDED_OVER = 256  # of them, so many are in broadcaster's queue, which has no limit of its own


class Lost(Event):
    """The last event of a backend: its connection is gone, and what was on the way with it."""

    def __init__(self, channel: str, error: ChannelError) -> None:
        super().__init__(channel, "")
        self.error = error


class Inbox:
    """Texts that arrived and wait to be taken, at most `limit`."""

    def __init__(self, limit: int = MAX_ARRIVED) -> None:
        self.error: ChannelError | None = None
        self._limit = limit
        self._texts: deque[str] = deque()
        self._news = asyncio.Event()

    def put(self, text: str) -> None:
        """Adds a text. One too many drops all that wait, and says so."""
        if len(self._texts) >= self._limit:
            EVENTS_DROPPED.labels("incoming").inc(len(self._texts))
            self._texts.clear()
            self._texts.append(RESYNC.encoded())
        self._texts.append(text)
        self._news.set()

    def lose(self, error: ChannelError) -> None:
        """Nothing comes any more. The first reason is kept."""
        if self.error is None:
            self.error = error
            self._news.set()

    async def take(self) -> str:
        """The next text, waiting for it. Raises ChannelError when none can come."""
        while not self._texts:
            if self.error is not None:
                raise self.error
            self._news.clear()
            await self._news.wait()
        return self._texts.popleft()


class ServerBackend(BroadcastBackend):
    """One channel of one server, from `connect` to the first failure, whichever of its connections fails.

    It never connects again by itself: that would hide what was missed meanwhile. `next_published` never raises either:
    broadcaster's listener would end unseen and leave its subscribers waiting for ever. It gives `Lost` instead.
    """

    _failures: ClassVar[tuple[Failure, ...]] = NETWORK

    def __init__(self, channel: str) -> None:
        # Not the base class's, which only refuses to be called.
        self._channel = channel
        self._inbox = Inbox()
        self._turn = asyncio.Lock()
        self._room = asyncio.Semaphore(_MAX_HANDED_OVER)

    async def connect(self) -> None:
        """Connects and subscribes. Raises ChannelError within CONNECT_SECONDS.

        It subscribes here because broadcaster answers an error of `subscribe` with a KeyError of its own.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._open()
        except BaseException as error:
            await self.disconnect()
            if isinstance(error, Exception):
                raise self._named(error) from error
            raise

    async def disconnect(self) -> None:
        """Closes every connection, for at most CLOSE_SECONDS; may be called twice."""
        self._inbox.lose(ChannelError("The event channel is closed."))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._close()

    async def subscribe(self, group: str) -> None:
        """Nothing: `connect` has subscribed."""

    async def unsubscribe(self, group: str) -> None:
        """Nothing: `disconnect` ends it, also when the server does not answer."""

    async def publish(self, channel: str, message: Any) -> None:
        """Sends, one message at a time. Raises ChannelError. A call that fails or is canceled loses the connection."""
        async with self._turn:
            if self._inbox.error is not None:
                raise ChannelError(self._inbox.error.message, hint=self._inbox.error.hint)
            try:
                await self._send(channel, message)
            except BaseException as error:
                # What went out of it is unknown, and the next answer may belong to this call.
                lost = self._named(error)
                self._inbox.lose(lost)
                if isinstance(error, Exception):
                    raise lost from error
                raise

    async def next_published(self) -> Event:
        """The next event, `Lost` as the last."""
        await self._room.acquire()
        try:
            return Event(self._channel, await self._inbox.take())
        except ChannelError as error:
            self._room = asyncio.Semaphore(0)  # the next call waits until broadcaster ends it
            return Lost(self._channel, error)

    def taken(self) -> None:
        """A subscriber took an event from broadcaster's queue: there is room for another."""
        self._room.release()

    def _named(self, error: BaseException) -> ChannelError:
        return named(error, self._failures)

    @abstractmethod
    async def _open(self) -> None:
        """Makes the connections and subscribes; from then on what arrives goes to `self._inbox`."""

    @abstractmethod
    async def _close(self) -> None:
        """Closes what `_open` made, also when it was interrupted."""

    @abstractmethod
    async def _send(self, channel: str, message: str) -> None:
        """Publishes one message."""
