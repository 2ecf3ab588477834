"""What people do to sync configurations: activate, pause, resume, archive, unlock.

A state and what it means for the run that is under way change in one transaction, under the configuration's lock: of
two people who ask at once the second finds what the first has done.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from models import config_transitions, storage_queries, sync_config_queries
from models.config_transitions import ConfigEvent
from models.database import AsyncSession
from models.job_state import JobSignal
from models.jobs import Job, JobStatus
from models.sync_configs import SyncConfig, SyncConfigStatus
from resolvers import checks
from resolvers.access import Viewer
from resolvers.jobs import MAX_REASON
from resolvers.services import Services
from resolvers.sync_configs import present
from sluicegate.core.actors import Actor
from sluicegate.core.errors import ConflictError, NotSynchronizableError
from sluicegate.core.ids import decode_id

_PAUSABLE = frozenset({JobStatus.SCHEDULED, JobStatus.QUEUED, JobStatus.IN_PROGRESS})


async def activate(services: Services, viewer: Viewer, global_id: str) -> SyncConfig:
    """Lets a DRAFT run; one that was suspended, or has ended (ONE_TIME), again. One that is active stays as it is.

    Raises NotFoundError, ConflictError, NotSynchronizableError.
    """
    async with locked(services, viewer, global_id) as (session, config):
        await require_storage(session, config)
        event = ConfigEvent.REOPEN if config.status in config_transitions.ENDED else ConfigEvent.ACTIVATE
        return await config_transitions.move(session, config, event)


async def pause(services: Services, viewer: Viewer, global_id: str, reason: str) -> SyncConfig:
    """Stops a configuration until someone resumes it; a run under way stops at a checkpoint within a second.

    One that is paused already stays as it is. Raises InvalidError, NotFoundError, ConflictError.
    """
    checks.check_text(reason, ("reason",), longest=MAX_REASON)
    async with locked(services, viewer, global_id) as (session, config):
        if config.status == SyncConfigStatus.PAUSED:
            return config
        actor = viewer.actor
        by = {"kind": actor.kind.value, "id": actor.id, "name": actor.name}
        await config_transitions.move(session, config, ConfigEvent.PAUSE, pause_reason=reason, paused_by=by)
        for job in await _runs(session, config):
            if job.status in _PAUSABLE:
                await services.jobs.signal(session, job.id, JobSignal.PAUSE, reason=reason, actor=actor)
        return config


async def resume(services: Services, viewer: Viewer, global_id: str) -> SyncConfig:
    """Lets a paused or suspended configuration run again: its paused run goes on, else the next one is due.

    Raises NotFoundError, ConflictError, NotSynchronizableError.
    """
    async with locked(services, viewer, global_id) as (session, config):
        await require_storage(session, config)
        await config_transitions.move(session, config, ConfigEvent.RESUME)
        for job in await _runs(session, config):
            if job.status == JobStatus.PAUSED:
                await services.jobs.signal(session, job.id, JobSignal.RESUME, actor=viewer.actor)
        return config


async def archive(services: Services, viewer: Viewer, global_id: str) -> SyncConfig:
    """Puts a configuration away for good; its run is canceled, its objects stay. Raises NotFoundError."""
    async with locked(services, viewer, global_id) as (session, config):
        if config.status == SyncConfigStatus.ARCHIVED:
            return config
        return await archive_row(services, session, config, viewer.actor, reason="The configuration was archived.")


async def unlock(services: Services, viewer: Viewer, global_id: str) -> SyncConfig:
    """Takes the lease away from whoever runs it: another worker goes on from the checkpoint.

    Raises NotFoundError, and ConflictError when nothing is locked.
    """
    async with locked(services, viewer, global_id) as (session, config):
        held = [job for job in await _runs(session, config) if job.lease_expires_at is not None]
        if not held:
            raise ConflictError(
                "Nothing is locked: no worker holds a run of this configuration.",
                path=("id",),
                hint="Trigger a sync, or resume the configuration, if it is to run.",
            )
        for job in held:
            await services.jobs.unlock(session, job.id, reason="The configuration was unlocked.", actor=viewer.actor)
        return config


async def archive_row(
    services: Services, session: AsyncSession, config: SyncConfig, actor: Actor, *, reason: str
) -> SyncConfig:
    """Archives a configuration's row, which the caller's transaction has locked, and cancels all its jobs."""
    config = await config_transitions.move(session, config, ConfigEvent.ARCHIVE)
    await cancel_jobs(services, session, config, actor, reason=reason)
    return config


async def cancel_jobs(
    services: Services, session: AsyncSession, config: SyncConfig, actor: Actor, *, reason: str
) -> None:
    """Cancels what waits or runs for a configuration, dry runs and confirmations too."""
    for job in await sync_config_queries.unfinished_jobs_of_config(session, config.id):
        await services.jobs.signal(session, job.id, JobSignal.CANCEL, reason=reason, actor=actor)


@asynccontextmanager
async def locked(services: Services, viewer: Viewer, global_id: str) -> AsyncGenerator[tuple[AsyncSession, SyncConfig]]:
    """A transaction with the configuration's row in it, changes of which are announced. Raises NotFoundError."""
    number = decode_id(global_id, "SyncConfig")
    async with services.database.write(viewer.namespace.id) as session:
        config = present(await config_transitions.lock(session, number), global_id)
        yield session, config
        await session.flush()
        services.jobs.announce(session)


async def require_storage(session: AsyncSession, config: SyncConfig) -> None:
    """Raises ConflictError when the configuration's storage is archived, NotSynchronizableError when it may not run."""
    (storage,) = await storage_queries.storages_by_id(session, [config.storage_id])
    if storage is None or storage.deleted_at is not None:
        raise ConflictError("The configuration's storage is deleted.", path=("id",))
    if not storage.synchronizable:
        raise NotSynchronizableError(
            "The storage is marked as not synchronizable.", path=("id",), hint="Set synchronizable: true on it."
        )


async def _runs(session: AsyncSession, config: SyncConfig) -> list[Job]:
    """Its jobs that write and have not ended."""
    jobs = await sync_config_queries.unfinished_jobs_of_config(session, config.id)
    return [job for job in jobs if not job.payload.get("dryRun", False)]
