"""Watching a row: its state as it is, then each later one, the newest for a slow reader."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from models import job_queries, storage_queries
from models.jobs import Job
from models.storages import Storage
from resolvers.access import Viewer
from resolvers.live import JOB, STORAGE
from resolvers.services import Services
from sluicegate.core.errors import NotFoundError
from sluicegate.core.ids import decode_id


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
