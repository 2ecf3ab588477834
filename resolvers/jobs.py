"""Jobs: listed, started and signalled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from models import job_queries, storage_queries
from models.job_state import JobSignal
from models.jobs import Job
from models.pagination import Page, PageRequest, SortKey
from models.ranges import EVERYTHING
from models.storages import Storage
from resolvers import checks
from resolvers.access import Viewer
from resolvers.services import Services
from resolvers.storages import present
from sluicegate.core.errors import NotSynchronizableError
from sluicegate.core.ids import decode_id

SYNC_STORAGE = "SYNC_STORAGE"
MAX_REASON = 1_000


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """How a storage is to be synced; as `SyncStorageInput`."""

    full_sync: bool = False
    dry_run: bool = False
    allow_mass_missing: bool = False
    priority: int = 0
    scheduled_at: datetime | None = None


async def list_jobs(
    services: Services,
    viewer: Viewer,
    request: PageRequest,
    *,
    criteria: job_queries.JobCriteria,
    keys: tuple[SortKey, ...] = (),
) -> Page[Job]:
    """A page of the namespace's jobs."""
    async with services.database.read(viewer.namespace.id) as session:
        return await job_queries.list_jobs(session, request, criteria=criteria, keys=keys)


async def count_jobs(services: Services, viewer: Viewer, criteria: job_queries.JobCriteria) -> int:
    """How many jobs the namespace has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await job_queries.count_jobs(session, criteria)


async def sync_storage(services: Services, viewer: Viewer, global_id: str, order: SyncOrder) -> tuple[Job, Storage]:
    """Starts a sync, now or at a time to come. A scheduled one is made to start now.

    Raises InvalidError, NotFoundError, NotSynchronizableError, and AlreadyRunningError with the job that waits or runs.
    """
    number = decode_id(global_id, "Storage")
    checks.check_between(order.priority, checks.MIN_PRIORITY, checks.MAX_PRIORITY, ("priority",))
    async with services.database.write(viewer.namespace.id) as session:
        storage = present(await storage_queries.lock_storage(session, number), global_id)
        if not storage.synchronizable:
            raise NotSynchronizableError(
                "This storage is marked as not synchronizable.", path=("id",), hint="Set synchronizable: true."
            )
        job = await services.jobs.enqueue(
            session,
            namespace_id=viewer.namespace.id,
            job_class=SYNC_STORAGE,
            unicity=f"{'dry-run' if order.dry_run else 'sync'}:storage:{storage.id}",
            payload={
                "fullSync": order.full_sync,
                "dryRun": order.dry_run,
                "allowMassMissing": order.allow_mass_missing,
            },
            created_by=viewer.actor,
            priority=order.priority,
            storage_id=storage.id,
            project_id=storage.project_id,
            key_range=EVERYTHING,
            scheduled_at=order.scheduled_at,
        )
    return job, storage


async def signal_job(services: Services, viewer: Viewer, global_id: str, signal: JobSignal, reason: str) -> Job:
    """Does what is asked. Raises InvalidError, NotFoundError, ConflictError where the job's state forbids it."""
    number = decode_id(global_id, "Job")
    checks.check_text(reason, ("reason",), longest=MAX_REASON)
    async with services.database.write(viewer.namespace.id) as session:
        return await services.jobs.signal(session, number, signal, reason=reason, actor=viewer.actor)
