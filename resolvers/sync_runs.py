"""Runs of sync configurations that people ask for: a sync, a dry run, and the confirmation of what a run found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from models import config_transitions, job_queries, sync_config_queries
from models.config_transitions import ENDED, ConfigEvent
from models.database import AsyncSession
from models.job_configs import SYNC_CONFIG
from models.jobs import Job
from models.sync_configs import SyncConfig, SyncConfigStatus
from resolvers import checks
from resolvers.access import Viewer
from resolvers.services import Services
from resolvers.sync_config_states import locked, require_storage
from sluicegate.core.errors import ConflictError, NotFoundError
from sluicegate.core.ids import decode_id, encode_id

CONFIRM_SYNC = "CONFIRM_SYNC"

_NOT_BY_HAND = {
    SyncConfigStatus.DRAFT: "Activate it first; a dry run can be made of a draft.",
    SyncConfigStatus.PAUSED: "Resume it first; a dry run can be made meanwhile.",
    SyncConfigStatus.SUSPENDED: "Activate it first; a dry run can be made meanwhile.",
}


@dataclass(frozen=True, slots=True)
class RunOrder:
    """How a configuration is to be synced; as `TriggerSyncInput`."""

    full_sync: bool = False
    dry_run: bool = False
    allow_mass_missing: bool = False
    priority: int = 0
    scheduled_at: datetime | None = None


async def trigger(services: Services, viewer: Viewer, global_id: str, order: RunOrder) -> tuple[Job, SyncConfig]:
    """Starts a run, now or at a time to come. One that is scheduled is made to start now.

    Raises InvalidError, NotFoundError, NotSynchronizableError, ConflictError where the configuration's status does not
    allow it, and AlreadyRunningError with the job that waits or runs.
    """
    checks.check_between(order.priority, checks.MIN_PRIORITY, checks.MAX_PRIORITY, ("priority",))
    async with locked(services, viewer, global_id) as (session, config):
        _check_status(config, dry_run=order.dry_run)
        await require_storage(session, config)
        job = await services.jobs.enqueue(
            session,
            namespace_id=config.namespace_id,
            job_class=SYNC_CONFIG,
            unicity=sync_config_queries.run_unicity(config.id, dry_run=order.dry_run),
            payload={
                "fullSync": order.full_sync,
                "dryRun": order.dry_run,
                "allowMassMissing": order.allow_mass_missing,
                "onlyKeys": False,
            },
            created_by=viewer.actor,
            priority=order.priority,
            scheduled_at=order.scheduled_at,
            **_scope(config),
        )
        if config.status in ENDED and not order.dry_run:
            await config_transitions.move(session, config, ConfigEvent.REOPEN)
    return job, config


async def confirm(services: Services, viewer: Viewer, job_id: str) -> tuple[Job, SyncConfig]:
    """Starts a job that takes over what a run has staged: its new objects, its changes, what it missed.

    Raises NotFoundError, AlreadyRunningError, and ConflictError when the job is not the newest run of a configuration,
    has not ended or staged nothing.
    """
    number = decode_id(job_id, "Job", path=("jobId",))
    async with services.database.read(viewer.namespace.id) as session:
        (run,) = await job_queries.jobs_by_id(session, [number])
    if run is None:
        raise NotFoundError(f"No job has the id {job_id!r}.", path=("jobId",))
    if run.sync_config_id is None:
        raise ConflictError("The job is no run of a sync configuration: there is nothing to confirm.", path=("jobId",))
    async with locked(services, viewer, encode_id("SyncConfig", run.sync_config_id)) as (session, config):
        await _check_confirmable(session, config, number)
        job = await services.jobs.enqueue(
            session,
            namespace_id=config.namespace_id,
            job_class=CONFIRM_SYNC,
            unicity=f"confirm:config:{config.id}",
            payload={"confirms": number},
            created_by=viewer.actor,
            **_scope(config),
        )
    return job, config


def _scope(config: SyncConfig) -> dict[str, Any]:
    """Whose a job is, and the keys that it covers."""
    return {
        "storage_id": config.storage_id, "project_id": config.project_id, "sync_config_id": config.id,
        "key_range": config.range,
    }  # fmt: skip


def _check_status(config: SyncConfig, *, dry_run: bool) -> None:
    status = SyncConfigStatus(config.status)
    if status is SyncConfigStatus.ARCHIVED:
        raise ConflictError("The configuration is archived: it does not run any more.", path=("id",))
    if status in _NOT_BY_HAND and not dry_run:
        raise ConflictError(f"The configuration is {status}.", path=("id",), hint=_NOT_BY_HAND[status])


async def _check_confirmable(session: AsyncSession, config: SyncConfig, job_id: int) -> None:
    path = ("jobId",)
    if config.status == SyncConfigStatus.ARCHIVED:
        raise ConflictError("The configuration is archived.", path=path)
    newest = await sync_config_queries.newest_run(session, config.id)
    if newest is None or newest.id != job_id:
        hint = None if newest is None else f"Its newest run is {encode_id('Job', newest.id)!r}."
        raise ConflictError("Only the configuration's newest run can be confirmed.", path=path, hint=hint)
    if not newest.finished:
        raise ConflictError(
            f"The run is {newest.status}: it may stage more.", path=path, hint="Wait until it has ended."
        )
    if not await sync_config_queries.has_staged(session, config, job_id):
        raise ConflictError(
            "The run has staged nothing, or all of it was confirmed.",
            path=path,
            hint="Runs stage what they find when the configuration has requireConfirmation: true.",
        )
