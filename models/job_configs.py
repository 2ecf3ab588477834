"""A sync configuration shows the state of its runs: it follows the status of their jobs, in their transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.batch_records import close_batches, end_held
from models.config_transitions import ConfigEvent, lock, move, touch
from models.delivery_queue import note_status
from models.jobs import FINISHED, Job, JobStatus
from models.source_events import SourceEvent
from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.clock import to_micros

SYNC_CONFIG = "SYNC_CONFIG"
"""The job class of a configuration's runs."""
MAX_LAST_ERROR = 1_000
"""Characters."""
RELIST = "relist"
"""In a run's `counted`: what the source told of was dropped while it ran, so its listing may have missed some of it."""

_COUNTS = {
    "total_found": "objectsFound",
    "total_failed": "objectsFailed",
    "total_bytes": "bytesSynced",
    "total_batches": "batchesCreated",
    "rate_limit_hits": "rateLimitHits",
}
_EVENTS = {
    JobStatus.COMPLETED: ConfigEvent.RUN_ENDED_WELL,
    JobStatus.COMPLETED_WITH_ERRORS: ConfigEvent.RUN_ENDED_WITH_ERRORS,
    JobStatus.FAILED: ConfigEvent.RUN_FAILED,
    JobStatus.CANCELED: ConfigEvent.RUN_CANCELED,
}


def is_run(job: Job) -> bool:
    """Whether a configuration shows this job: a run of it that writes. Not a confirmation, nor a dry run."""
    return job.sync_config_id is not None and job.job_class == SYNC_CONFIG and not job.payload.get("dryRun", False)


async def follow_config(session: AsyncSession, job: Job, *, came_from: JobStatus | None) -> SyncConfig | None:
    """Brings the job's configuration to what the job is now. Returns its row, or None where nothing of it changed.

    `came_from`: the status before; None for a new job. A run that is handed over, tried again later, paused or being
    canceled is still under way.
    """
    if not is_run(job):
        return None
    assert job.sync_config_id is not None
    status, before = JobStatus(job.status), came_from
    begins = before is None or (before in FINISHED and status not in FINISHED)
    starts = status is JobStatus.IN_PROGRESS and before is JobStatus.QUEUED
    if not (begins or starts or status in FINISHED):
        return None
    # A change of a job has locked it already, and its row is in the session; a new job may come with nothing locked.
    fresh = before is None
    config = await (lock(session, job.sync_config_id) if fresh else session.get(SyncConfig, job.sync_config_id))
    if config is None:
        return None
    if begins:
        config.current_job_id = job.id
        if config.mode == SyncMode.ONE_TIME:
            config.next_sync_at = None
        return await touch(session, config, job.updated_at)
    if starts:
        number = config.run_number + (job.fence == 1)
        config = await move(
            session, config, ConfigEvent.RUN_STARTED, at=job.updated_at, current_job_id=job.id, run_number=number
        )
    else:
        config = await _ended(session, config, job)
        await close_batches(session, job.id, now=to_micros(job.updated_at))
        if config.status == SyncConfigStatus.ARCHIVED:  # while the run still wrote some
            await end_held(session, config.id, now=to_micros(job.updated_at))
    await note_status(session, config, job, came_from=came_from)
    return config


async def _ended(session: AsyncSession, config: SyncConfig, job: Job) -> SyncConfig:
    status = JobStatus(job.status)
    columns: dict[str, Any] = {}
    succeeded = job.started_at is not None and status not in {JobStatus.FAILED, JobStatus.CANCELED}
    if config.current_job_id == job.id:
        columns["current_job_id"] = None
    if job.started_at is not None:
        listed = _listed_everything(job)
        columns |= {"last_job_id": job.id, **_count(config, job)}
        if status is JobStatus.FAILED:
            columns |= {
                "last_error": (job.error_message or "")[:MAX_LAST_ERROR],
                "consecutive_failures": config.consecutive_failures + 1,
            }
        elif succeeded:
            columns |= {"last_error": None, "consecutive_failures": 0, "last_sync_at": job.finished_at}
            if listed:
                columns["listed_at"] = job.finished_at
    config = await move(session, config, _EVENTS[status], at=job.updated_at, **columns)
    if succeeded and config.next_sync_at is not None and await _told_of(session, config):
        config.next_sync_at = min(config.next_sync_at, job.updated_at)
        await session.flush()
    return config


async def _told_of(session: AsyncSession, config: SyncConfig) -> bool:
    """Whether keys wait for a configuration that looks at such by themselves."""
    if config.mode != SyncMode.CONTINUOUS or config.listed_at is None:
        return False
    query = select(SourceEvent.source_key).where(
        SourceEvent.storage_id == config.storage_id, SourceEvent.sync_config_id == config.id
    )
    return await session.scalar(query.limit(1)) is not None


def _count(config: SyncConfig, job: Job) -> dict[str, Any]:
    """The totals with this run in them. What an earlier try of the same job has added is not added again."""
    assert job.started_at is not None
    assert job.finished_at is not None
    sync, counted = job.sync or {}, job.counted or {}
    found: dict[str, Any] = {total: sync.get(counter, 0) for total, counter in _COUNTS.items()}
    found["total_synced"] = sync.get("objectsAdded", 0) + sync.get("objectsUpdated", 0)
    # A try takes its own time, whatever the others took.
    spent = _seconds(job.started_at, job.finished_at)
    job.counted = {**found, "duration_seconds": counted.get("duration_seconds", 0.0) + spent}
    added = {total: getattr(config, total) + value - counted.get(total, 0) for total, value in found.items()}
    return {**added, "duration_seconds": config.duration_seconds + spent}


def _listed_everything(job: Job) -> bool:
    sync: Mapping[str, Any] = job.sync or {}
    dropped = (job.counted or {}).get(RELIST, False)
    return bool(sync.get("listingComplete")) and not job.payload.get("onlyKeys", False) and not dropped


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 3)
