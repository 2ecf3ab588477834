"""What the engine looks for: work to deliver, leases that ran out, jobs past their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.job_scopes import SCOPE, scope_of, scopes_under_way
from models.jobs import UNFINISHED_SQL, Job, JobStatus

_LEASED = (JobStatus.IN_PROGRESS, JobStatus.CANCELING)


_PAGE, _MOST = 500, 2_000
_OF_STORAGE = 100
"""Of one storage's jobs so many are looked at: thousands that wait for one another must hide nobody else's."""


class DueJob(NamedTuple):
    """A job that wants a ticket. `fence`: of its last attempt; the next one has a ticket of its own."""

    id: int
    priority: int
    job_class: str
    fence: int


class Due(NamedTuple):
    """`jobs`: those that a worker may claim now. `waiting`: others would be due but for a run that is in their way."""

    jobs: list[DueJob]
    waiting: bool


async def due_jobs(session: AsyncSession, *, at: datetime, limit: int) -> Due:
    """Jobs that a worker may claim now, the most urgent first: QUEUED and due, or IN_PROGRESS with no live lease.

    A run whose keys meet those of one under way, or of a more urgent one, waits. Looks at the 2,000 most urgent ones,
    with at most 100 of a storage.
    """
    lapsed = or_(Job.lease_expires_at.is_(None), Job.lease_expires_at < at)
    due = or_(Job.not_before.is_(None), Job.not_before <= at)
    # Runs without a worker first: others of their storage may wait for them.
    urgency = (case((Job.status == JobStatus.QUEUED, 1), else_=0), Job.priority.desc(), Job.id)
    place = func.row_number().over(partition_by=func.coalesce(Job.storage_id, -Job.id), order_by=urgency)
    ranked = (
        select(Job.id, Job.priority, Job.job_class, Job.fence, Job.status, *SCOPE, place.label("place"))
        .where(UNFINISHED_SQL)
        .where(or_(and_(Job.status == JobStatus.QUEUED, due), and_(Job.status == JobStatus.IN_PROGRESS, lapsed)))
        .subquery()
    )
    query = select(ranked).where(ranked.c.place <= _OF_STORAGE).order_by(ranked.c.priority.desc(), ranked.c.id)
    taken = await scopes_under_way(session, at)
    found: list[DueJob] = []
    waiting, seen, page = False, 0, limit
    while seen < _MOST:
        rows = (await session.execute(query.offset(seen).limit(page))).all()
        for row in rows:
            if len(found) == limit:
                return Due(found, waiting)
            if row.status == JobStatus.QUEUED and not taken.take(scope_of(*row[5:-1])):
                waiting = True
            else:
                found.append(DueJob(row.id, row.priority, row.job_class, row.fence))
        seen += len(rows)
        if len(rows) < page or len(found) == limit:
            break
        page = _PAGE
    return Due(found, waiting)


async def next_due(session: AsyncSession, *, after: datetime, queued: bool = True) -> datetime | None:
    """The first moment after `after` at which a job may become due; None when there is none.

    `queued`: also of those that wait for a retry. Where many wait anyway, reading all of them would tell nothing.
    """
    statuses = (JobStatus.SCHEDULED, *_LEASED, *((JobStatus.QUEUED,) if queued else ()))
    comes = [
        func.min(case((and_(Job.status.in_(of), column > after), column)))
        for column, of in (
            (Job.scheduled_at, (JobStatus.SCHEDULED,)),
            (Job.not_before, (JobStatus.QUEUED,)),
            (Job.lease_expires_at, _LEASED),
        )
    ]
    unfinished = select(*comes).select_from(Job).where(UNFINISHED_SQL, Job.status.in_(statuses))
    moments = (await session.execute(unfinished)).one()
    return min((moment for moment in moments if moment is not None), default=None)


async def due_schedules(session: AsyncSession, *, at: datetime, limit: int, lock: bool = False) -> Sequence[int]:
    """SCHEDULED jobs whose time has come, the earliest first. `lock` takes them, and skips those in other hands."""
    query = (
        select(Job.id)
        .where(UNFINISHED_SQL, Job.status == JobStatus.SCHEDULED, Job.scheduled_at <= at)
        .order_by(Job.scheduled_at, Job.id)
        .limit(limit)
    )
    return (await session.scalars(query.with_for_update(skip_locked=True) if lock else query)).all()


async def lapsed_cancels(session: AsyncSession, *, at: datetime, limit: int, lock: bool = False) -> Sequence[int]:
    """CANCELING jobs whose run is gone: no live lease. `lock` as in `due_schedules`."""
    query = (
        select(Job.id)
        .where(UNFINISHED_SQL, Job.status == JobStatus.CANCELING)
        .where(or_(Job.lease_expires_at.is_(None), Job.lease_expires_at < at))
        .order_by(Job.id)
        .limit(limit)
    )
    return (await session.scalars(query.with_for_update(skip_locked=True) if lock else query)).all()


async def expire_leases(session: AsyncSession) -> None:
    """Ends every lease: no other process can hold one (embedded mode, at start, under the data directory's lock)."""
    await session.execute(
        update(Job)
        .where(UNFINISHED_SQL, Job.lease_expires_at.is_not(None))
        .values(lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
