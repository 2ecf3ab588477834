"""One watcher of one row: it holds the newest state and nothing else, however slow its reader."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Self

from sluicegate.events.messages import StateT, Topic, Update

logger = logging.getLogger(__name__)


class End(StrEnum):
    """Why a watch ended: that was the row's last state, the row is gone, or the hub closed before either."""

    FINISHED = "FINISHED"
    DELETED = "DELETED"
    CLOSED = "CLOSED"


@dataclass(slots=True)
class HubStats:
    """Counters for metrics since the hub was made; `watchers`, `keys` and `connected` are of this moment.

    `delivered`: states that readers took; `coalesced`: states that a newer one replaced before they were taken;
    `reconnects`: times that the channel was heard again after it was lost.
    """

    watchers: int = 0
    keys: int = 0
    connected: bool = False
    published: int = 0
    received: int = 0
    malformed: int = 0
    delivered: int = 0
    coalesced: int = 0
    resyncs: int = 0
    reconnects: int = 0


class Watch(Generic[StateT]):
    """An async iterator over the states of one row, for one reader.

    Revisions only grow: what is old or was seen is left out. A last state is never replaced, and the iteration ends
    after it. `end` says why. States are shared by all watchers of the row: never change one.
    """

    __slots__ = ("_newest", "_pending", "_stats", "_topic", "_waiter", "end", "id")

    def __init__(self, topic: Topic[StateT], number: int, stats: HubStats) -> None:
        self.id = number
        self.end: End | None = None
        self._topic = topic
        self._stats = stats
        self._newest = -1
        self._pending: Update[StateT] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, update: Update[StateT]) -> None:
        """Takes a state in place of the one that waits, when it is newer."""
        if update.revision <= self._newest or self.end is not None:
            return
        if self._pending is not None:
            self._stats.coalesced += 1
        self._newest = update.revision
        self._pending = update
        if update.last:
            self.end = End.FINISHED
        self._wake()

    def finish(self, end: End) -> None:
        """Ends the iteration once the state that waits is taken."""
        if self.end is None:
            self.end = end
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StateT:
        """The newest state that was not taken yet, waiting for it without limit."""
        while True:
            while self._pending is None:
                if self.end is not None:
                    raise StopAsyncIteration
                if self._waiter is not None:
                    raise RuntimeError("A watch has one reader.")
                self._waiter = asyncio.get_running_loop().create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            update, self._pending = self._pending, None
            state = await self._decoded(update)
            if state is not None:
                self._stats.delivered += 1
                return state

    async def _decoded(self, update: Update[StateT]) -> StateT | None:
        try:
            return update.state()
        except (ValueError, TypeError, KeyError, AttributeError):
            # Sent by another version of Sluicegate, it seems. The row itself says what the message could not.
            logger.warning("An event of %s %d could not be decoded; the row is read.", self._topic.name, self.id)
        row = await self._topic.read(self.id)
        if row is None:
            self.finish(End.DELETED)
        elif self._topic.is_last(row):
            self.end = End.FINISHED
        return row
