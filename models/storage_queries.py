"""Reading storages. Every session is scoped to a namespace, so no query here names one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.criteria import Range, TextMatch, matching
from models.jobs import UNFINISHED, Job
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children, fetch_page
from models.storages import Storage

SORTS: dict[str, SortKey] = {
    "TITLE": SortKey(Storage.title, str),
    "TYPE": SortKey(Storage.type, str),
    "STATUS": SortKey(Storage.status, str),
    "CREATED_AT": SortKey(Storage.created_at, datetime),
    "UPDATED_AT": SortKey(Storage.updated_at, datetime),
    "LAST_SYNC": SortKey(Storage.last_sync, datetime, nullable=True),
}


@dataclass(frozen=True, slots=True)
class StorageCriteria:
    """Which storages; archived ones are never listed."""

    type: tuple[str, ...] | None = None
    status: tuple[str, ...] | None = None
    title: TextMatch | None = None
    created_at: Range[datetime] | None = None


def _query(criteria: StorageCriteria, project_id: int | None) -> Select[Storage]:
    query = select(Storage).where(
        Storage.deleted_at.is_(None),
        *matching(Storage.type, criteria.type),
        *matching(Storage.status, criteria.status),
        *matching(Storage.title, criteria.title),
        *matching(Storage.created_at, criteria.created_at),
    )
    return query if project_id is None else query.where(Storage.project_id == project_id)


def _order(keys: tuple[SortKey, ...], criteria: StorageCriteria, project_id: int | None) -> Order:
    return Order("storages", keys, Storage.id, (criteria, project_id))


async def storages_by_id(session: AsyncSession, ids: Sequence[int]) -> list[Storage | None]:
    """The storages with these ids, archived ones too; None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(Storage).where(Storage.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def list_storages(
    session: AsyncSession,
    request: PageRequest,
    *,
    criteria: StorageCriteria,
    keys: tuple[SortKey, ...] = (),
    project_id: int | None = None,
) -> Page[Storage]:
    """A page of storages; oldest first unless sorted by `keys`."""
    order = _order(keys, criteria, project_id)
    return await fetch_page(session, _query(criteria, project_id), order, request)


async def count_storages(session: AsyncSession, criteria: StorageCriteria, project_id: int | None = None) -> int:
    """How many storages there are."""
    query = _query(criteria, project_id).with_only_columns(func.count(Storage.id))
    return await session.scalar(query) or 0


async def storages_of_projects(
    session: AsyncSession,
    projects: Sequence[int],
    request: PageRequest,
    *,
    criteria: StorageCriteria,
    keys: tuple[SortKey, ...] = (),
) -> list[Page[Storage]]:
    """The same page of each project's storages."""
    return await fetch_children(session, _children(criteria, keys), projects, request)


async def count_storages_of_projects(
    session: AsyncSession, projects: Sequence[int], *, criteria: StorageCriteria
) -> list[int | None]:
    """How many storages each project has."""
    return await count_children(session, _children(criteria), projects)


def _children(criteria: StorageCriteria, keys: tuple[SortKey, ...] = ()) -> Children[Storage]:
    return Children(
        Storage.project_id,
        lambda project: _query(criteria, project),
        lambda project: _order(keys, criteria, project),
    )


async def other_sources(session: AsyncSession, *, project_id: int, type_: str, besides: int | None) -> list[Storage]:
    """Storages of one type in a project, for finding overlaps. At most 1,000."""
    query = select(Storage).where(Storage.project_id == project_id, Storage.type == type_, Storage.deleted_at.is_(None))
    if besides is not None:
        query = query.where(Storage.id != besides)
    return list(await session.scalars(query.order_by(Storage.id).limit(1_000)))


async def lock_storage(session: AsyncSession, storage_id: int) -> Storage | None:
    """A storage's row for changing it, None where there is none: nobody else changes it until the transaction ends."""
    return await session.scalar(select(Storage).where(Storage.id == storage_id).with_for_update(key_share=True))


async def has_unfinished_jobs(session: AsyncSession, storage_id: int) -> bool:
    """Whether a job of the storage waits or runs."""
    query = select(Job.id).where(Job.storage_id == storage_id, Job.status.in_(UNFINISHED))
    return await session.scalar(query.limit(1)) is not None
