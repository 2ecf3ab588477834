"""A storage shows the state of its last sync: it follows the status of its sync jobs, in their transactions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import FINISHED, Job, JobStatus
from models.storages import Storage, SyncStatus

MAX_TRACEBACK_BYTES = 8192

_SHOWN: dict[JobStatus, SyncStatus] = {
    JobStatus.QUEUED: SyncStatus.QUEUED,
    JobStatus.IN_PROGRESS: SyncStatus.IN_PROGRESS,
    JobStatus.CANCELING: SyncStatus.IN_PROGRESS,
    JobStatus.CANCELED: SyncStatus.CANCELED,
    JobStatus.FAILED: SyncStatus.FAILED,
    JobStatus.COMPLETED: SyncStatus.COMPLETED,
    JobStatus.COMPLETED_WITH_ERRORS: SyncStatus.COMPLETED_WITH_ERRORS,
}
"""What a storage shows while its job is in a status. SCHEDULED and PAUSED show nothing: the state stays what it was."""

_COUNTS = {
    "found": "objectsFound",
    "filtered": "objectsFiltered",
    "duplicate": "objectsDuplicate",
    "unchanged": "objectsUnchanged",
    "added": "objectsAdded",
    "updated": "objectsUpdated",
    "failed": "objectsFailed",
    "missing": "objectsMissing",
    "bytes": "bytesSynced",
    "rateLimitHits": "rateLimitHits",
}


def is_sync(job: Job) -> bool:
    """Whether the storage shows this job: its own sync, not a configuration's, that writes."""
    return job.storage_id is not None and job.sync_config_id is None and not job.payload.get("dryRun", False)


async def follow(session: AsyncSession, job: Job, *, came_from: JobStatus | None) -> Storage | None:
    """Brings the job's storage to what the job is now. Returns its row, or None where nothing of it changed.

    `came_from`: the status before; None for a new job. A scheduled job that is canceled was never shown.
    """
    shown = _SHOWN.get(JobStatus(job.status))
    if not is_sync(job) or shown is None:
        return None
    if came_from is JobStatus.SCHEDULED and job.status in FINISHED:
        return None
    values: dict[str, Any] = {"status": shown, "last_sync_job_id": job.id, "updated_at": job.updated_at}
    if job.status in FINISHED and job.started_at is not None:
        values |= _result(job)
    return await session.scalar(
        update(Storage)
        .where(Storage.id == job.storage_id)
        .values(**values, row_rev=Storage.row_rev + 1)
        .returning(Storage)
        .execution_options(populate_existing=True, synchronize_session=False)
    )


def _result(job: Job) -> dict[str, Any]:
    """The columns that a run which has ended leaves behind."""
    sync = job.sync or {}
    counts: dict[str, Any] = {name: sync.get(counter, 0) for name, counter in _COUNTS.items()}
    assert job.finished_at is not None
    assert job.started_at is not None
    seconds = (job.finished_at - job.started_at).total_seconds()
    values: dict[str, Any] = {
        "last_sync": job.finished_at,
        "last_sync_count": counts["added"] + counts["updated"],
        "meta": {**counts, "filteredBy": sync.get("filteredBy", {}), "durationSeconds": round(seconds, 3)},
    }
    if job.status == JobStatus.FAILED:
        values["traceback"] = _traceback(job.error or {})
    elif job.status != JobStatus.CANCELED:
        values["traceback"] = None
    return values


def _traceback(error: dict[str, Any]) -> str:
    """The error in our words, with what led to it; at most 8 KB of UTF-8."""
    lines = [f"{error.get('type', 'InternalError')}: {error.get('message', '')}"]
    if error.get("providerCode"):
        lines.append(f"Provider's code: {error['providerCode']}")
    if error.get("hint"):
        lines.append(f"Hint: {error['hint']}")
    lines += [f"Caused by: {cause}" for cause in error.get("causes", ())]
    return "\n".join(lines).encode()[:MAX_TRACEBACK_BYTES].decode(errors="ignore")
