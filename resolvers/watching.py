"""Watching a row: its state as it is, then each later one, the newest for a slow reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from models import job_queries, storage_queries, sync_config_queries
from models.jobs import Job
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus
from resolvers.access import Viewer
from resolvers.live import JOB, STORAGE, SYNC_CONFIG
from resolvers.services import Services
from sluicegate.core.errors import NotFoundError
from sluicegate.core.ids import decode_id
from sluicegate.events.hub import Hub
from sluicegate.events.watch import Watch

T = TypeVar("T")


async def watch_job(services: Services, viewer: Viewer, global_id: str) -> AsyncGenerator[Job]:
    """A job's states, until it is finished or gone. Raises NotFoundError."""
    number = decode_id(global_id, "Job")
    async with services.database.read(viewer.namespace.id) as session:
        (row,) = await job_queries.jobs_by_id(session, [number])
    if row is None:
        raise NotFoundError(f"No job has the id {global_id!r}.", path=("id",))
    async with services.hub.watch(JOB, number) as states:
        async for state in states:
            yield state


async def watch_storage(services: Services, viewer: Viewer, global_id: str) -> AsyncGenerator[Storage]:
    """A storage's states, until it is archived. Raises NotFoundError."""
    number = decode_id(global_id, "Storage")
    async with services.database.read(viewer.namespace.id) as session:
        (row,) = await storage_queries.storages_by_id(session, [number])
    if row is None:
        raise NotFoundError(f"No storage has the id {global_id!r}.", path=("id",))
    async with services.hub.watch(STORAGE, number) as states:
        async for state in states:
            yield state
            if state.deleted_at is not None:
                return


async def watch_sync_config(
    services: Services, viewer: Viewer, global_id: str
) -> AsyncGenerator[tuple[SyncConfig, Job | None]]:
    """A configuration's states with its current job's, one for each change of either, until it is archived or gone.

    So its run is seen as it goes, between two changes of the configuration's own row. Raises NotFoundError.
    """
    number = decode_id(global_id, "SyncConfig")
    async with services.database.read(viewer.namespace.id) as session:
        (row,) = await sync_config_queries.sync_configs_by_id(session, [number])
    if row is None:
        raise NotFoundError(f"No sync config has the id {global_id!r}.", path=("id",))
    async with services.hub.watch(SYNC_CONFIG, number) as configs, _CurrentJob(services.hub) as job:
        config = await _following(configs)
        while config is not None:
            await job.follow(config.current_job_id)
            yield config, job.state
            if config.status == SyncConfigStatus.ARCHIVED:
                return
            changed, ended = await _either(configs, job)
            if ended:
                return
            config = changed or config


class _CurrentJob:
    """The job that a configuration has at the moment. `state`: its newest, None when it has none."""

    def __init__(self, hub: Hub) -> None:
        self.state: Job | None = None
        self.watch: Watch[Job] | None = None
        self._hub = hub
        self._number: int | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def follow(self, number: int | None) -> None:
        """Watches this job from now on, none for None."""
        if number == self._number:
            return
        await self._open.aclose()
        self._number, self.state, self.watch = number, None, None
        if number is not None:
            self.watch = await self._open.enter_async_context(self._hub.watch(JOB, number))
            self.state = await _following(self.watch)

    async def change(self) -> None:
        """Returns when there is a newer state; never, when there will be none."""
        if self.watch is not None:
            state = await _following(self.watch)
            if state is not None:
                self.state = state
                return
        await asyncio.Event().wait()


async def _either(configs: Watch[SyncConfig], job: _CurrentJob) -> tuple[SyncConfig | None, bool]:
    """The configuration's next state, or None when it was the job that changed; and whether there is none any more."""
    config, change = asyncio.ensure_future(_following(configs)), asyncio.ensure_future(job.change())
    waiting: tuple[asyncio.Future[Any], ...] = (config, change)
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # A watch keeps the state that a canceled reader was about to take.
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    if not config.cancelled():
        state = config.result()
        return state, state is None
    await change
    return None, False


async def _following(watch: Watch[T]) -> T | None:
    """The next state; None at the end."""
    return await anext(watch, None)
