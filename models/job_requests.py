"""What people and schedules ask for: new jobs and signals. All functions work in the caller's transaction."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models.job_errors import storable_text
from models.job_transitions import TRANSITIONS, JobEvent, apply, follow_all, illegal, lock_job
from models.jobs import UNFINISHED, Job, JobStatus, JobTrigger
from models.ranges import KeyRange
from models.storages import Storage
from sluicegate.core.actors import Actor
from sluicegate.core.clock import now
from sluicegate.core.errors import AlreadyRunningError, ConflictError, NotFoundError


class JobSignal(StrEnum):
    """What a person can ask of a job."""

    CANCEL = "CANCEL"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RETRY = "RETRY"
    RUN_NOW = "RUN_NOW"


async def insert(
    session: AsyncSession,
    *,
    namespace_id: int,
    job_class: str,
    unicity: str | None,
    payload: dict[str, Any],
    created_by: Actor,
    trigger: JobTrigger = JobTrigger.MANUAL,
    priority: int = 0,
    storage_id: int | None = None,
    project_id: int | None = None,
    sync_config_id: int | None = None,
    key_range: KeyRange | None = None,
    scheduled_at: datetime | None = None,
    max_retries: int = 3,
    at: datetime | None = None,
) -> Job:
    """A new job: SCHEDULED when `scheduled_at` is to come, else QUEUED.

    Meeting an unfinished job of the same unicity: one that is SCHEDULED, when this one is to run now, is made to run
    now with this payload and the higher priority, and returned; else AlreadyRunningError carries it. `key_range`: what
    a sync covers, None: the job is no sync.
    """
    moment = at or now()
    later = scheduled_at is not None and scheduled_at > moment
    job = Job(
        namespace_id=namespace_id, job_class=job_class, unicity=unicity, payload=payload, trigger=trigger,
        priority=priority, storage_id=storage_id, project_id=project_id, scheduled_at=scheduled_at,
        sync_config_id=sync_config_id, range_low=key_range.low if key_range else None,
        range_high=key_range.high if key_range else None,
        max_retries=max_retries, status=JobStatus.SCHEDULED if later else JobStatus.QUEUED, run_id=uuid.uuid4().hex,
        created_by_kind=created_by.kind, created_by_id=created_by.id, created_by_name=created_by.name,
        created_at=moment, updated_at=moment, row_rev=1,
    )  # fmt: skip
    other = await _unfinished(session, namespace_id, unicity)
    if other is None:
        try:
            async with session.begin_nested():
                session.add(job)
        except IntegrityError:
            # PostgreSQL: another transaction was quicker.
            other = await _unfinished(session, namespace_id, unicity)
            if other is None:
                raise
    if other is not None:
        if other.status != JobStatus.SCHEDULED or later:
            raise _already_running(session, other)
        return await apply(
            session, other.id, JobEvent.RUN_NOW, at=moment, payload=payload, priority=max(priority, other.priority)
        )
    await follow_all(session, job, came_from=None)
    return job


async def run_scheduled(session: AsyncSession, job_id: int, *, at: datetime) -> Job:
    """Has a SCHEDULED job run now. Raises ConflictError for what can't."""
    return await apply(session, job_id, JobEvent.RUN_NOW, at=at)


async def signal(
    session: AsyncSession,
    job_id: int,
    signal: JobSignal,
    *,
    reason: str = "",
    actor: Actor,
    at: datetime | None = None,
) -> Job:
    """Does what a person asks. CANCEL of a running job makes it CANCELING; asking twice changes nothing.

    RETRY queues the same job again with all its retries; it goes on from its checkpoint where it has one. Raises
    NotFoundError, ConflictError for what the status does not allow, and AlreadyRunningError for a RETRY beside an
    unfinished job of the same unicity.
    """
    moment = at or now()
    job = await lock_job(session, job_id)
    if job is None:
        raise NotFoundError("No such job.", path=("id",))
    if (signal, job.status) in {(JobSignal.CANCEL, JobStatus.CANCELING), (JobSignal.PAUSE, JobStatus.PAUSED)}:
        return job
    namespace_id, unicity = job.namespace_id, job.unicity
    columns: dict[str, Any] = {"last_signal": _said(signal, reason, actor, moment)}
    if signal in {JobSignal.RETRY, JobSignal.RESUME, JobSignal.RUN_NOW}:
        columns["not_before"] = None
    if signal is JobSignal.RETRY:
        if job.status not in TRANSITIONS[JobEvent.RETRY]:
            raise illegal(job, JobEvent.RETRY)
        await _may_retry(session, job)
        columns |= {"trigger": JobTrigger.RETRY, "retry_count": 0, "interruptions": 0, "started_at": None,
                    "progress": None, "error": None, "error_message": None}  # fmt: skip
    try:
        async with session.begin_nested():
            return await apply(session, job_id, JobEvent(signal), at=moment, **columns)
    except IntegrityError:
        # PostgreSQL: another transaction was quicker.
        other = await _unfinished(session, namespace_id, unicity)
        if other is None:
            raise
        raise _already_running(session, other) from None


async def unlock(
    session: AsyncSession, job_id: int, *, reason: str = "", actor: Actor, at: datetime | None = None
) -> Job:
    """Takes a run's lease away: whoever holds it gets FencedError at its next write.

    IN_PROGRESS becomes QUEUED and goes on from its checkpoint, elsewhere perhaps; CANCELING ends CANCELED. Raises
    NotFoundError, and ConflictError for a job that no worker holds.
    """
    moment = at or now()
    job = await lock_job(session, job_id)
    if job is None:
        raise NotFoundError("No such job.", path=("id",))
    if job.status == JobStatus.PAUSED and job.lease_expires_at is None:
        raise illegal(job, JobEvent.UNLOCK)
    said = _said("UNLOCK", reason, actor, moment)
    return await apply(session, job_id, JobEvent.UNLOCK, held=job, at=moment, fence=Job.fence + 1, last_signal=said)


def _said(signal: str, reason: str, actor: Actor, at: datetime) -> dict[str, Any]:
    """What a job keeps of what a person asked for."""
    by = {"kind": actor.kind, "id": actor.id, "name": actor.name}
    return {"signal": signal, "reason": storable_text(reason), "by": by, "at": at.isoformat()}


async def _unfinished(session: AsyncSession, namespace_id: int, unicity: str | None) -> Job | None:
    if unicity is None:
        return None
    return await session.scalar(
        select(Job)
        .where(Job.namespace_id == namespace_id, Job.unicity == unicity, Job.status.in_(UNFINISHED))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


async def _may_retry(session: AsyncSession, job: Job) -> None:
    other = await _unfinished(session, job.namespace_id, job.unicity)
    if other is not None:
        raise _already_running(session, other)
    if job.storage_id is not None:
        deleted = await session.scalar(select(Storage.deleted_at).where(Storage.id == job.storage_id))
        if deleted is not None:
            raise ConflictError("The job's storage is deleted.", path=("id",))


def _already_running(session: AsyncSession, job: Job) -> AlreadyRunningError:
    session.expunge(job)  # or the rollback that the error leads to would empty the row
    hints = {
        JobStatus.PAUSED: "Resume or cancel the paused job.",
        JobStatus.SCHEDULED: "Run the scheduled job now, or cancel it.",
        JobStatus.CANCELING: "Wait until it is canceled.",
    }
    hint = hints.get(JobStatus(job.status), "Follow the job, or cancel it first.")
    return AlreadyRunningError(f"There is a job for this already: it is {job.status}.", job=job, hint=hint)
