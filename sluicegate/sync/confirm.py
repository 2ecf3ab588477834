"""Shows what a run has staged: all of it at once, in one transaction."""

from __future__ import annotations

from typing import Any

from models import batch_records, job_state, staging
from models.database import ALL
from models.jobs import JobStatus
from models.sync_configs import OnDelete, SyncConfig
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.run import RunHandle
from sluicegate.sync.runner import RunResult
from sluicegate.sync.services import SyncServices


async def confirm_sync(handle: RunHandle, services: SyncServices) -> RunResult:
    """Runs one confirmation. Raises FatalError when the configuration is gone, FencedError: lease lost.

    Run again after a kill, it finds all of it, or that it was done.
    """
    job, confirmed = handle.job, int(handle.job.payload["confirms"])
    if job.sync is not None and job.sync["phase"] == Phase.DONE:
        return RunResult(JobStatus.COMPLETED, {"sync": job.sync, "progress": 1.0})
    progress = Progress(phase=Phase.FINALIZING)
    async with services.database.write(ALL) as session:
        await job_state.save(session, handle.claim)
        config = await session.get(SyncConfig, job.sync_config_id)
        if config is None:
            raise FatalError("The configuration was deleted.", code=ErrorCode.NOT_FOUND)
        place = (config.project_id, config.storage_id, config.id, confirmed)
        waiting = await staging.count(session, *place)
        moment = to_micros(now())
        await staging.confirm(session, *place, now=moment, remove=config.on_delete == OnDelete.REMOVE)
        await batch_records.release_batches(session, config.id, confirmed, now=moment)
        progress.added, progress.updated, progress.missing = waiting
        progress.found = waiting.added + waiting.updated
        progress.phase, progress.listing_complete = Phase.DONE, True
        columns: dict[str, Any] = {"sync": progress.to_json(), "progress": 1.0}
        # In the same transaction: it says that this was done.
        await job_state.save(session, handle.claim, **columns)
    return RunResult(JobStatus.COMPLETED, columns)
