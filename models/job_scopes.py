"""What syncs cover: two whose keys meet never run at the same time.

A scope is a project, a storage and a range of keys. Dry runs write nothing, so they have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import UNFINISHED_SQL, Job, JobStatus
from models.ranges import KeyRange
from models.storages import Storage

WAIT_SECONDS = 1.0
"""How long a run waits before it looks again whether another is still in its way."""

SCOPE = (Job.project_id, Job.storage_id, Job.range_low, Job.range_high, Job.payload)
"""The columns that `scope_of` reads."""


class Scope(NamedTuple):
    """The records that one sync may write."""

    project_id: int | None
    storage_id: int | None
    range: KeyRange


class Scopes:
    """A set of scopes, those that are equal once."""

    def __init__(self, scopes: Sequence[Scope] = ()) -> None:
        self._ranges: dict[tuple[int | None, int | None], set[KeyRange]] = {}
        for scope in scopes:
            self.take(scope)

    def take(self, scope: Scope | None) -> bool:
        """Adds a scope, and says whether none of those before meets it. No scope meets none."""
        if scope is None:
            return True
        ranges = self._ranges.setdefault((scope.project_id, scope.storage_id), set())
        free = not any(scope.range.meets(other) for other in ranges)
        ranges.add(scope.range)
        return free


def scope_of(
    project_id: int | None, storage_id: int | None, low: bytes | None, high: bytes | None, payload: Mapping[str, Any]
) -> Scope | None:
    """What a job of these columns may write as a sync; None for a dry run and for other work."""
    if low is None or payload.get("dryRun", False):
        return None
    return Scope(project_id, storage_id, KeyRange(low, high))


async def scopes_under_way(session: AsyncSession, at: datetime) -> Scopes:
    """The scopes of the runs that write, or may go on to.

    IN_PROGRESS counts without a live lease too: it is taken over, not given up.
    """
    query = select(*SCOPE).where(
        UNFINISHED_SQL,
        Job.status.in_((JobStatus.CANCELING, JobStatus.IN_PROGRESS, JobStatus.PAUSED)),
        Job.range_low.is_not(None),
        or_(Job.status == JobStatus.IN_PROGRESS, Job.lease_expires_at >= at),
    )
    found = [scope_of(*row) for row in await session.execute(query)]
    return Scopes([scope for scope in found if scope is not None])


async def lock_scope(session: AsyncSession, job_id: int) -> None:
    """Until the transaction ends, no other claim of a run of the job's storage can look at what is under way."""
    storage_id = select(Job.storage_id).where(Job.id == job_id, Job.range_low.is_not(None)).scalar_subquery()
    await session.execute(select(Storage.id).where(Storage.id == storage_id).with_for_update(key_share=True))


async def meets_a_run(session: AsyncSession, job: Job, at: datetime) -> bool:
    """Whether another run under way covers some of the job's keys. Call it under `lock_scope`."""
    scope = scope_of(job.project_id, job.storage_id, job.range_low, job.range_high, job.payload)
    return not (await scopes_under_way(session, at)).take(scope)
