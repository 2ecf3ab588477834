"""What runs write to their jobs. All functions work in the caller's transaction; the caller announces `changes`.

A run holds a job by a lease and a fence: `claim` takes both, every write after it says `AND fence = …` and renews the
lease. `at` is the time that a function goes by; tests give their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import checkpoints
from models.database import NAMES_NAMESPACE
from models.job_errors import storable_error
from models.job_requests import JobSignal, insert, signal, unlock
from models.job_scopes import WAIT_SECONDS, lock_scope, meets_a_run
from models.job_transitions import HELD, FencedError, JobEvent, apply, changes, lock_job
from models.jobs import Job, JobStatus
from models.objects import Checkpoint
from sluicegate.core.clock import now

__all__ = [
    "LEASE_SECONDS", "Claim", "FencedError", "JobSignal", "SavedState", "changes", "claim", "finish", "hand_over",
    "insert", "make_due", "retry_later", "save", "signal", "stopped", "unlock",
]  # fmt: skip

_JOB = cast("Table", Job.__table__)
LEASE_SECONDS = 12.0
"""How long a run may be silent before another worker takes its job: three heartbeats, and work goes on within 15 s."""
MAX_INTERRUPTIONS = 5
"""How often in a row a run may end without a word and without progress before its job fails: it may be what kills."""
_FINISHES = {
    JobStatus.COMPLETED: JobEvent.COMPLETE,
    JobStatus.COMPLETED_WITH_ERRORS: JobEvent.COMPLETE_WITH_ERRORS,
    JobStatus.FAILED: JobEvent.FAIL,
    JobStatus.CANCELED: JobEvent.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one run to write to one job. `fence`: the attempt."""

    job_id: int
    fence: int
    namespace_id: int
    worker_id: str


@dataclass(frozen=True, slots=True)
class SavedState:
    """The row after a write: a run stops when `status` is no longer IN_PROGRESS."""

    row_rev: int
    status: JobStatus


async def claim(
    session: AsyncSession,
    job_id: int,
    *,
    worker_id: str,
    lease_seconds: float = LEASE_SECONDS,
    at: datetime | None = None,
) -> tuple[Claim, Job] | None:
    """Takes a due QUEUED job, or one whose lease ran out, under a new fence; None where there is nothing to take.

    A run whose keys meet those of another run under way stays QUEUED for WAIT_SECONDS more.
    A job whose runs end again and again without a word and without a new checkpoint is FAILED instead.
    """
    moment = at or now()
    await lock_scope(session, job_id)
    job = await lock_job(session, job_id)
    if job is None or not _claimable(job, moment):
        return None
    if job.status == JobStatus.QUEUED and await meets_a_run(session, job, moment):
        await session.execute(
            update(_JOB)
            .where(_JOB.c.id == job_id)
            .values(not_before=moment + timedelta(seconds=WAIT_SECONDS))
            .execution_options(**{NAMES_NAMESPACE: True})
        )
        return None
    resume_point = await _resume_point(session, job_id)
    interruptions = 0
    if job.status == JobStatus.IN_PROGRESS:
        interruptions = job.interruptions + 1 if resume_point == job.resume_point else 1
    if interruptions > MAX_INTERRUPTIONS:
        error = storable_error(
            {
                "type": "Interrupted",
                "message": f"The worker died {interruptions} times in a row while it ran this job, without progress.",
                "hint": "See the gateway's log and the machine's memory, then retry the job: it goes on where it was.",
            }
        )
        await apply(session, job_id, JobEvent.FAIL, held=job, at=moment, interruptions=0, **error)
        return None
    job = await apply(
        session, job_id, JobEvent.CLAIM, held=job, at=moment, fence=Job.fence + 1, worker_id=worker_id,
        lease_expires_at=moment + timedelta(seconds=lease_seconds), claimed_at=moment, interruptions=interruptions,
        resume_point=resume_point,
    )  # fmt: skip
    return Claim(job.id, job.fence, job.namespace_id, worker_id), job


async def save(
    session: AsyncSession,
    claim: Claim,
    *,
    lease_seconds: float = LEASE_SECONDS,
    at: datetime | None = None,
    **columns: Any,
) -> SavedState:
    """Sets columns of the run's job (`sync`, `progress`, …) and renews the lease. Raises FencedError when it is lost.

    Without columns it is the heartbeat: nothing that a subscriber sees has changed, so `row_rev` stays.
    """
    if "status" in columns:
        raise ValueError("The status changes through models.job_transitions alone.")
    moment = at or now()
    table = _JOB.c
    values: dict[str, Any] = {"lease_expires_at": moment + timedelta(seconds=lease_seconds)}
    if columns:
        values |= {**columns, "row_rev": table.row_rev + 1, "updated_at": moment}
    row = (
        await session.execute(
            update(_JOB)
            .where(table.id == claim.job_id, table.fence == claim.fence, table.status.in_(HELD))
            .where(table.namespace_id == claim.namespace_id)
            .values(**values)
            .returning(table.row_rev, table.status)
            .execution_options(**{NAMES_NAMESPACE: True})
        )
    ).one_or_none()
    if row is None:
        raise FencedError(f"job {claim.job_id}: fence {claim.fence} is no longer the run's")
    return SavedState(row.row_rev, JobStatus(row.status))


async def finish(
    session: AsyncSession,
    claim: Claim,
    status: JobStatus,
    *,
    error: dict[str, Any] | None = None,
    also: Callable[[AsyncSession], Awaitable[None]] | None = None,
    at: datetime | None = None,
    **columns: Any,
) -> Job:
    """Ends the run's job with a terminal status; a job that is CANCELING ends CANCELED whatever is said.

    `also`: the run's last writes, once its rows are locked and its fence was found to hold.

    `error`: {type, message, providerCode, hint, causes}; only what both databases can hold is kept. A job
    that completed has no checkpoint any more: a RETRY begins anew. Raises FencedError.
    """
    held = await lock_job(session, claim.job_id)
    if also is not None and held is not None and held.fence == claim.fence and held.status in HELD:
        await also(session)
    job = await apply(
        session, claim.job_id, _FINISHES[status], under=claim.fence, held=held, at=at, **columns,
        **storable_error(error),
    )  # fmt: skip
    if job.status in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS}:
        await checkpoints.drop_finished(session, job.id)
    return job


async def retry_later(
    session: AsyncSession,
    claim: Claim,
    *,
    delay_seconds: float,
    error: dict[str, Any] | None,
    retry_count: int,
    at: datetime | None = None,
) -> Job:
    """Back to QUEUED, not before the delay has passed, with this many of `max_retries` used up."""
    moment = at or now()
    return await apply(
        session, claim.job_id, JobEvent.RETRY_LATER, under=claim.fence, at=moment,
        not_before=moment + timedelta(seconds=delay_seconds), retry_count=retry_count,
        **storable_error(error),
    )  # fmt: skip


async def hand_over(session: AsyncSession, claim: Claim, *, at: datetime | None = None) -> Job:
    """Back to QUEUED for another worker, or this one after its restart; not a retry.

    A job that was PAUSED meanwhile stays so; one that is CANCELING ends CANCELED.
    """
    return await apply(session, claim.job_id, JobEvent.HAND_OVER, under=claim.fence, at=at)


async def make_due(session: AsyncSession, job_id: int, *, at: datetime | None = None) -> Job:
    """SCHEDULED → QUEUED. Raises ConflictError when it is that no longer."""
    return await apply(session, job_id, JobEvent.DUE, at=at)


async def stopped(session: AsyncSession, job_id: int, *, at: datetime | None = None) -> Job:
    """CANCELING → CANCELED for a job whose run is no more. The fence moves on, should it be some day."""
    return await apply(session, job_id, JobEvent.STOPPED, at=at, fence=Job.fence + 1)


def _claimable(job: Job, moment: datetime) -> bool:
    if job.status == JobStatus.QUEUED:
        return job.not_before is None or job.not_before <= moment
    return job.status == JobStatus.IN_PROGRESS and (job.lease_expires_at is None or job.lease_expires_at < moment)


async def _resume_point(session: AsyncSession, job_id: int) -> str | None:
    """Stands for the place at which the job goes on: changes when its runs get further, not with their counters."""
    state = await session.scalar(select(Checkpoint.state).where(Checkpoint.job_id == job_id))
    if state is None:
        return None
    place = {name: value for name, value in state.items() if name != "progress"}
    return hashlib.sha256(json.dumps(place, sort_keys=True).encode()).hexdigest()[:16]
