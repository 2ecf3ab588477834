"""Tells a configuration's webhook how far a run is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from models.database import AsyncSession
from models.delivery_queue import note_progress
from sluicegate.core.clock import now

NEWS_SECONDS = 10.0


class ProgressNews:
    """Of one run: at most one message in 10 seconds, the first after as long. `config_id` None: nobody is told."""

    def __init__(self, config_id: int | None, job_id: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config_id = config_id
        self._job_id = job_id
        self._clock = clock
        self._told = clock()

    async def tell(self, session: AsyncSession, sync: Mapping[str, Any], progress: float | None) -> None:
        """Writes a message into the commit that saves these counters, when it is time for one."""
        moment = self._clock()
        if self._config_id is None or moment - self._told < NEWS_SECONDS:
            return
        self._told = moment
        await note_progress(session, self._config_id, self._job_id, sync=sync, progress=progress, at=now())
