"""The ticker of sync configurations: starts what is due, and sleeps until the next is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from models import schedule_queries
from models.database import ALL, Database
from models.sync_configs import SyncConfig
from sluicegate.core.metrics import SCHEDULE_LAG_SECONDS, SCHEDULE_RUNS
from sluicegate.jobs.announce import Announcer

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""The longest sleep: another process may have changed a schedule, which nobody tells."""


class Schedule:
    """Safe beside those of other processes: each configuration's run is started by one of them.

    `started` is called after a commit that made jobs. `look_seconds`: the longest sleep.
    """

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        *,
        started: Callable[[], None],
        clock: Callable[[], datetime],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._started = started
        self._clock = clock
        self._look_seconds = look_seconds
        self._wake = asyncio.Event()
        self._noticed: datetime | None = None
        self._asleep_until: datetime | None = None

    def notice(self, config: SyncConfig) -> None:
        """A change of a configuration was committed in this process: it may be due before all others."""
        due = config.next_sync_at
        if due is None:
            return
        self._noticed = due if self._noticed is None else min(due, self._noticed)
        if self._asleep_until is not None and due < self._asleep_until:
            self._wake.set()

    async def run(self) -> None:
        """Until it is canceled."""
        while True:
            self._wake.clear()
            self._noticed = self._asleep_until = None
            following = await self.tick(self._clock())
            # Between the tick's last look and now: nothing is awaited from here to the sleep.
            until = min(filter(None, (following, self._noticed)), default=None)
            wait = self._look_seconds
            if until is not None:
                wait = min(wait, max(0.0, (until - self._clock()).total_seconds()) + 0.001)
            self._asleep_until = self._clock() + timedelta(seconds=wait)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def tick(self, at: datetime) -> datetime | None:
        """Starts all that is due. Returns when the next one will be."""
        while True:
            async with self._database.read(ALL) as session:
                # The usual case takes no write lock.
                if not await schedule_queries.any_due(session, at=at):
                    return await schedule_queries.next_due(session, after=at)
            async with self._announcer.write(self._database) as session:
                part = await schedule_queries.start_due(session, at=at)
            self._report(part)
            if part.started:
                self._started()
            if part.taken < schedule_queries.PART:
                # What is due still is in the hands of another process.
                async with self._database.read(ALL) as session:
                    return await schedule_queries.next_due(session, after=at)

    def _report(self, part: schedule_queries.Started) -> None:
        if part.taken:
            SCHEDULE_LAG_SECONDS.observe(part.lag)
        SCHEDULE_RUNS.labels("started").inc(part.started)
        SCHEDULE_RUNS.labels("skipped").inc(len(part.skipped))
        for config_id in part.skipped:
            logger.warning("Sync configuration %s: its run was skipped, the one before has not ended", config_id)
