"""Listens to the storages that tell of their changes, and notes what configurations are to look at.

A watcher a storage, in each worker process: the queue deals its messages out among them. What was told of is noted in
the database before the queue forgets it; the ticker starts the runs. While a queue can't be read, its configurations
are polled as if there were none.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models import source_event_queries
from models.database import ALL, Database
from models.storages import Storage
from sluicegate.core.clock import now
from sluicegate.core.errors import SluicegateError
from sluicegate.core.redact import redact
from sluicegate.jobs.announce import Announcer
from sluicegate.providers.base import EventBatch, Provider

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How long a change of a storage or configuration may go unnoticed."""
MAX_WATCHERS = 500
"""Storages that one process listens to at a time; of more, each has its turn."""
TURN_SECONDS = 30.0
MAX_WAIT_SECONDS = 60.0
FAILURES_UNTIL_POLLING = 3
"""So many in a row, within some seconds, and the queue is no longer relied on."""

Opener = Callable[[Storage], AbstractAsyncContextManager[Provider]]


@dataclass(slots=True)
class _Watcher:
    """One storage's. `made_of`: what it was started with; another connection needs another watcher."""

    storage: Storage
    made_of: tuple[Any, ...]
    began: float
    failures: int = 0
    task: asyncio.Task[None] = field(init=False)


class SourceWatch:
    """The watchers of this process. `failing`: storage id → why its queue can't be read."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        opener: Opener,
        *,
        clock: Callable[[], datetime] = now,
        look_seconds: float = LOOK_SECONDS,
        max_watchers: int = MAX_WATCHERS,
    ) -> None:
        self.failing: dict[int, str] = {}
        self._database = database
        self._announcer = announcer
        self._opener = opener
        self._clock = clock
        self._look_seconds = look_seconds
        self._max_watchers = max_watchers
        self._watchers: dict[int, _Watcher] = {}

    @property
    def watched(self) -> Mapping[int, object]:
        """The ids of the storages that are listened to now."""
        return self._watchers

    async def run(self) -> None:
        """Until it is canceled; then its watchers end too."""
        try:
            while True:
                async with self._database.read(ALL) as session:
                    storages = await source_event_queries.watchable(session)
                await self._follow({storage.id: storage for storage in storages})
                await asyncio.sleep(self._look_seconds)
        finally:
            await self._stop(list(self._watchers))

    async def _follow(self, wanted: Mapping[int, Storage]) -> None:
        """Ends the watchers that are not wanted as they are, and starts those that lack."""
        await self._stop(
            [
                number
                for number, watcher in self._watchers.items()
                if number not in wanted or _made_of(wanted[number]) != watcher.made_of
            ]
        )
        for number in self.failing.keys() - wanted.keys():
            del self.failing[number]
        waiting = [number for number in wanted if number not in self._watchers]
        clock = asyncio.get_running_loop().time()
        crowd = len(self._watchers) + len(waiting) - self._max_watchers
        if crowd > 0:
            served = sorted(self._watchers.values(), key=lambda watcher: watcher.began)
            had = [watcher.storage.id for watcher in served if clock - watcher.began >= TURN_SECONDS]
            await self._stop(had[:crowd])
            # Not the same ones first each time.
            random.shuffle(waiting)
        for number in waiting[: self._max_watchers - len(self._watchers)]:
            watcher = _Watcher(wanted[number], _made_of(wanted[number]), clock)
            watcher.task = asyncio.create_task(self._watch(watcher), name=f"source-watch-{number}")
            self._watchers[number] = watcher

    async def _stop(self, numbers: list[int]) -> None:
        tasks = [self._watchers.pop(number).task for number in numbers]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _watch(self, watcher: _Watcher) -> None:
        number = watcher.storage.id
        while True:
            try:
                await self._listen(watcher)
            except SluicegateError as error:
                reason = redact(error.message)
                logger.warning("Storage %s: its event queue can't be read: %s", number, reason)
                await self._failed(watcher, reason)
            except Exception:
                logger.exception("Storage %s: its event queue can't be read", number)
                await self._failed(watcher, "an unexpected error")
            # A source that ends by itself is asked again as after a failure.
            longest = min(MAX_WAIT_SECONDS, 2.0 ** min(watcher.failures, 10))
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, hides nothing

    async def _listen(self, watcher: _Watcher) -> None:
        async with self._opener(watcher.storage) as provider:
            batches: AsyncGenerator[EventBatch] = provider.events()
            async with aclosing(batches):
                async for batch in batches:
                    await self._take(watcher.storage, batch)
                    watcher.failures = 0
                    self.failing.pop(watcher.storage.id, None)

    async def _take(self, storage: Storage, batch: EventBatch) -> None:
        """Notes what was told, and only then lets the queue forget it: what fails in between comes again."""
        keys = {event.key for event in batch.events}
        if keys:
            async with self._announcer.write(self._database) as session:
                await source_event_queries.note(session, storage.id, keys, at=self._clock())
        await batch.ack()

    async def _failed(self, watcher: _Watcher, reason: str) -> None:
        watcher.failures += 1
        number = watcher.storage.id
        self.failing[number] = reason
        if watcher.failures < FAILURES_UNTIL_POLLING:
            return
        try:
            async with self._announcer.write(self._database) as session:
                await source_event_queries.unheard(session, number, at=self._clock())
        except Exception:
            logger.exception("Storage %s: its configurations could not be set to polling", number)


def _made_of(storage: Storage) -> tuple[Any, ...]:
    return (storage.settings, storage.sealed_secrets, storage.max_requests_per_second, storage.max_bytes_per_second)
