"""Which status a job may go to, and the one function that takes it there.

The table is the whole truth (docs/jobs.md draws it): an event that it does not list for a status is illegal. A request
to cancel a running job makes it CANCELING, whose only way out is CANCELED, whatever the run reports then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.changes import changes
from models.config_transitions import lock
from models.job_configs import follow_config
from models.job_storage import follow
from models.jobs import FINISHED, Job, JobStatus
from models.storages import Storage
from sluicegate.core.clock import now
from sluicegate.core.errors import ConflictError, NotFoundError

__all__ = [
    "HELD", "TRANSITIONS", "FencedError", "JobEvent", "apply", "changes", "follow_all", "illegal", "lock_job",
]  # fmt: skip

S = JobStatus
HELD = frozenset({S.IN_PROGRESS, S.CANCELING, S.PAUSED})
"""The statuses in which a run may hold a lease and write."""


class JobEvent(StrEnum):
    """What can happen to a job."""

    DUE = "DUE"
    CLAIM = "CLAIM"
    COMPLETE = "COMPLETE"
    COMPLETE_WITH_ERRORS = "COMPLETE_WITH_ERRORS"
    FAIL = "FAIL"
    STOPPED = "STOPPED"
    RETRY_LATER = "RETRY_LATER"
    HAND_OVER = "HAND_OVER"
    CANCEL = "CANCEL"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    RETRY = "RETRY"
    RUN_NOW = "RUN_NOW"
    UNLOCK = "UNLOCK"


E = JobEvent
TRANSITIONS: Mapping[JobEvent, Mapping[JobStatus, JobStatus]] = MappingProxyType(
    {
        # The engine's.
        E.DUE: {S.SCHEDULED: S.QUEUED},
        E.CLAIM: {S.QUEUED: S.IN_PROGRESS, S.IN_PROGRESS: S.IN_PROGRESS},
        # A run's, under its fence. PAUSED: asked for while the run was at work; what it had done already counts.
        E.COMPLETE: {S.IN_PROGRESS: S.COMPLETED, S.PAUSED: S.COMPLETED, S.CANCELING: S.CANCELED},
        E.COMPLETE_WITH_ERRORS: {
            S.IN_PROGRESS: S.COMPLETED_WITH_ERRORS, S.PAUSED: S.COMPLETED_WITH_ERRORS, S.CANCELING: S.CANCELED,
        },
        E.FAIL: {S.IN_PROGRESS: S.FAILED, S.PAUSED: S.FAILED, S.CANCELING: S.CANCELED},
        E.STOPPED: {S.IN_PROGRESS: S.CANCELED, S.PAUSED: S.PAUSED, S.CANCELING: S.CANCELED},
        E.RETRY_LATER: {S.IN_PROGRESS: S.QUEUED, S.PAUSED: S.PAUSED, S.CANCELING: S.CANCELED},
        E.HAND_OVER: {S.IN_PROGRESS: S.QUEUED, S.PAUSED: S.PAUSED, S.CANCELING: S.CANCELED},
        # A person's.
        E.CANCEL: {
            S.SCHEDULED: S.CANCELED, S.QUEUED: S.CANCELED, S.PAUSED: S.CANCELED,
            S.IN_PROGRESS: S.CANCELING, S.CANCELING: S.CANCELING,
        },
        E.PAUSE: {S.SCHEDULED: S.PAUSED, S.QUEUED: S.PAUSED, S.IN_PROGRESS: S.PAUSED, S.PAUSED: S.PAUSED},
        E.RESUME: {S.PAUSED: S.QUEUED},
        E.RETRY: {S.FAILED: S.QUEUED, S.CANCELED: S.QUEUED, S.COMPLETED_WITH_ERRORS: S.QUEUED},
        E.RUN_NOW: {S.SCHEDULED: S.QUEUED, S.QUEUED: S.QUEUED},
        E.UNLOCK: {S.IN_PROGRESS: S.QUEUED, S.PAUSED: S.PAUSED, S.CANCELING: S.CANCELED},
    }
)  # fmt: skip

_HINTS: Mapping[JobEvent, str] = {
    E.CANCEL: "Only a job that has not finished can be canceled.",
    E.PAUSE: "Only a job that has not finished, and is not being canceled, can be paused.",
    E.RESUME: "Only a paused job can be resumed.",
    E.RETRY: "Only a job that failed, was canceled or completed with errors can be tried again.",
    E.RUN_NOW: "Only a job that waits can be run now.",
    E.UNLOCK: "Only a job that a worker holds can be unlocked.",
}
_NOUNS: Mapping[JobEvent, str] = {
    E.CANCEL: "canceled", E.PAUSE: "paused", E.RESUME: "resumed", E.RETRY: "tried again", E.RUN_NOW: "run now",
    E.UNLOCK: "unlocked",
}  # fmt: skip


class FencedError(Exception):
    """The run lost its lease, or its job has ended: stop at once, write nothing."""


async def apply(
    session: AsyncSession,
    job_id: int,
    event: JobEvent,
    *,
    under: int | None = None,
    held: Job | None = None,
    at: datetime | None = None,
    **columns: Any,
) -> Job:
    """Takes a job where `event` leads, sets `columns`, and brings its storage along. Nothing else writes `status`.

    `under`: the fence of the run that asks; another one is FencedError. `held`: the row, where the transaction has it
    from `lock_job` already. Raises NotFoundError, and ConflictError for a transition that the table does not have.
    The changed rows are in `changes(session)` for whoever announces them.
    """
    job = held or await lock_job(session, job_id)
    if job is None:
        if under is not None:
            raise FencedError(f"job {job_id} is gone")
        raise NotFoundError("No such job.", path=("id",))
    source = JobStatus(job.status)
    if under is not None and (job.fence != under or source not in HELD):
        raise FencedError(f"job {job_id}: fence {under} of {job.fence}, {source}")
    target = TRANSITIONS[event].get(source)
    if target is None:
        raise illegal(job, event)
    moment = at or now()
    values: dict[str, Any] = {**_effects(job, event, target, moment), **columns}
    changed = await session.scalar(
        update(Job)
        .where(Job.id == job_id)
        .values(**values, status=target, row_rev=Job.row_rev + 1, updated_at=moment)
        .returning(Job)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    assert changed is not None
    await follow_all(session, changed, came_from=source)
    return changed


async def follow_all(session: AsyncSession, job: Job, *, came_from: JobStatus | None) -> None:
    """Notes a job's change, and brings along what shows its state: its configuration, or else its storage."""
    changes(session)["job", job.id] = job
    await follow_config(session, job, came_from=came_from)
    storage = await follow(session, job, came_from=came_from)
    if storage is not None:
        changes(session)["storage", storage.id] = storage


async def lock_job(session: AsyncSession, job_id: int) -> Job | None:
    """The row, for changing it, after that which follows it: all lock in this order, or two would wait for ever."""
    parents = (await session.execute(select(Job.sync_config_id, Job.storage_id).where(Job.id == job_id))).one_or_none()
    if parents is not None and parents.sync_config_id is not None:
        await lock(session, parents.sync_config_id)
    elif parents is not None and parents.storage_id is not None:
        await session.execute(
            select(Storage.id).where(Storage.id == parents.storage_id).with_for_update(key_share=True)
        )
    return await session.scalar(
        select(Job).where(Job.id == job_id).with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def _effects(job: Job, event: JobEvent, target: JobStatus, moment: datetime) -> dict[str, Any]:
    """What arriving at a status does to the other columns."""
    free = {"worker_id": None, "lease_expires_at": None}
    if target in FINISHED:
        return {**free, "finished_at": moment, "not_before": None}
    if target is S.QUEUED:
        return {**free, "finished_at": None}
    if target is S.IN_PROGRESS:
        return {"started_at": job.started_at or moment, "not_before": None}
    # A running job that is paused keeps its lease until the run has stopped.
    return free if target is S.PAUSED and event is not E.PAUSE else {}


def illegal(job: Job, event: JobEvent) -> ConflictError:
    """The typed answer to an event that the job's status does not allow."""
    verb = _NOUNS.get(event, f"taken through {event}")
    return ConflictError(f"The job is {job.status} and can't be {verb}.", hint=_HINTS.get(event))
