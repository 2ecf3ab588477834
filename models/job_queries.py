"""Reading jobs. Every session is scoped to a namespace, so no query here names one; writing is `models.job_state`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.criteria import Range, TextMatch, matching
from models.jobs import UNFINISHED, Job
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children, fetch_page

SORTS: dict[str, SortKey] = {
    "JOB_CLASS": SortKey(Job.job_class, str),
    "PRIORITY": SortKey(Job.priority, int),
    "STATUS": SortKey(Job.status, str),
    "PROGRESS": SortKey(Job.progress, float, nullable=True),
    "RETRY_COUNT": SortKey(Job.retry_count, int),
    "SCHEDULED_AT": SortKey(Job.scheduled_at, datetime, nullable=True),
    "CREATED_AT": SortKey(Job.created_at, datetime),
    "UPDATED_AT": SortKey(Job.updated_at, datetime),
}
_NEWEST_FIRST = (SortKey(Job.id, int, descending=True),)


@dataclass(frozen=True, slots=True)
class JobCriteria:
    """Which jobs. `error`: a match on the error's message."""

    id: tuple[int, ...] | None = None
    job_class: tuple[str, ...] | None = None
    status: tuple[str, ...] | None = None
    priority: Range[int] | None = None
    progress: Range[float] | None = None
    retry_count: Range[int] | None = None
    error: TextMatch | None = None
    unicity: tuple[str, ...] | None = None
    scheduled_at: Range[datetime] | None = None
    created_at: Range[datetime] | None = None
    updated_at: Range[datetime] | None = None
    storage_id: tuple[int, ...] | None = None
    project_id: tuple[int, ...] | None = None
    sync_config_id: tuple[int, ...] | None = None


def _query(criteria: JobCriteria) -> Select[Job]:
    return select(Job).where(
        *matching(Job.id, criteria.id),
        *matching(Job.job_class, criteria.job_class),
        *matching(Job.status, criteria.status),
        *matching(Job.priority, criteria.priority),
        *matching(Job.progress, criteria.progress),
        *matching(Job.retry_count, criteria.retry_count),
        *matching(Job.error_message, criteria.error),
        *matching(Job.unicity, criteria.unicity),
        *matching(Job.scheduled_at, criteria.scheduled_at),
        *matching(Job.created_at, criteria.created_at),
        *matching(Job.updated_at, criteria.updated_at),
        *matching(Job.storage_id, criteria.storage_id),
        *matching(Job.project_id, criteria.project_id),
        *matching(Job.sync_config_id, criteria.sync_config_id),
    )


def _order(keys: tuple[SortKey, ...], criteria: JobCriteria, parent: object = None) -> Order:
    return Order("jobs", keys or _NEWEST_FIRST, Job.id, (criteria, parent))


async def jobs_by_id(session: AsyncSession, ids: Sequence[int]) -> list[Job | None]:
    """The jobs with these ids, None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(Job).where(Job.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def list_jobs(
    session: AsyncSession, request: PageRequest, *, criteria: JobCriteria, keys: tuple[SortKey, ...] = ()
) -> Page[Job]:
    """A page of jobs; newest first unless sorted by `keys`."""
    return await fetch_page(session, _query(criteria), _order(keys, criteria), request)


async def count_jobs(session: AsyncSession, criteria: JobCriteria) -> int:
    """How many jobs there are."""
    return await session.scalar(_query(criteria).with_only_columns(func.count(Job.id))) or 0


async def jobs_of_storages(
    session: AsyncSession, storages: Sequence[int], request: PageRequest, *, criteria: JobCriteria
) -> list[Page[Job]]:
    """The same page of each storage's jobs, newest first."""
    return await fetch_children(session, _children(Job.storage_id, criteria), storages, request)


async def count_jobs_of_storages(
    session: AsyncSession, storages: Sequence[int], *, criteria: JobCriteria
) -> list[int | None]:
    """How many jobs each storage has."""
    return await count_children(session, _children(Job.storage_id, criteria), storages)


async def jobs_of_sync_configs(
    session: AsyncSession, configs: Sequence[int], request: PageRequest, *, criteria: JobCriteria
) -> list[Page[Job]]:
    """The same page of each configuration's jobs, newest first."""
    return await fetch_children(session, _children(Job.sync_config_id, criteria), configs, request)


async def count_jobs_of_sync_configs(
    session: AsyncSession, configs: Sequence[int], *, criteria: JobCriteria
) -> list[int | None]:
    """How many jobs each configuration has."""
    return await count_children(session, _children(Job.sync_config_id, criteria), configs)


def _children(parent: InstrumentedAttribute[Any], criteria: JobCriteria) -> Children[Job]:
    return Children(
        parent,
        lambda number: _query(criteria).where(parent == number),
        lambda number: _order((), criteria, (parent.key, number)),
    )


async def unfinished_jobs_of_storage(session: AsyncSession, storage_id: int) -> list[int]:
    """The ids of a storage's jobs that have not ended."""
    query = select(Job.id).where(Job.storage_id == storage_id, Job.status.in_(UNFINISHED)).order_by(Job.id)
    return list(await session.scalars(query))
