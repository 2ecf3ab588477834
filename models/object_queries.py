"""Reading the catalogue a page at a time; a run's own reads and writes are `models.catalogue`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.criteria import Range, TextMatch, matching
from models.objects import ObjectStatus, SyncedObject
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children

SORTS: dict[str, SortKey] = {
    "PATH": SortKey(SyncedObject.path, str),
    "SIZE_BYTES": SortKey(SyncedObject.size_bytes, int, nullable=True),
    "SOURCE_MODIFIED_AT": SortKey(SyncedObject.source_modified_at, datetime, nullable=True),
    "SYNCED_AT": SortKey(SyncedObject.synced_at, datetime),
}
COUNT_LIMIT = 1_000_000
"""Counting stops here: on a larger list the answer is null rather than slow."""


@dataclass(frozen=True, slots=True)
class ObjectCriteria:
    """Which objects. What waits for confirmation is shown only when `status` names STAGED."""

    storage_id: tuple[int, ...] | None = None
    sync_config_id: tuple[int, ...] | None = None
    status: tuple[str, ...] | None = None
    modality: tuple[str, ...] | None = None
    mime_type: tuple[str, ...] | None = None
    path: TextMatch | None = None
    size_bytes: Range[int] | None = None
    source_modified_at: Range[datetime] | None = None
    synced_at: Range[datetime] | None = None


def _query(criteria: ObjectCriteria, project_id: int) -> Select[SyncedObject]:
    query = select(SyncedObject).where(
        SyncedObject.project_id == project_id,
        *matching(SyncedObject.storage_id, criteria.storage_id),
        *matching(SyncedObject.sync_config_id, criteria.sync_config_id),
        *matching(SyncedObject.status, criteria.status),
        *matching(SyncedObject.modality, criteria.modality),
        *matching(SyncedObject.mime_type, criteria.mime_type),
        *matching(SyncedObject.path, criteria.path),
        *matching(SyncedObject.size_bytes, criteria.size_bytes),
        *matching(SyncedObject.source_modified_at, criteria.source_modified_at),
        *matching(SyncedObject.synced_at, criteria.synced_at),
    )
    return query if criteria.status is not None else query.where(SyncedObject.status != ObjectStatus.STAGED)


async def objects_by_id(session: AsyncSession, ids: Sequence[int]) -> list[SyncedObject | None]:
    """The objects with these ids, None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(SyncedObject).where(SyncedObject.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def objects_of_projects(
    session: AsyncSession,
    projects: Sequence[int],
    request: PageRequest,
    *,
    criteria: ObjectCriteria,
    keys: tuple[SortKey, ...] = (),
) -> list[Page[SyncedObject]]:
    """The same page of each project's objects; in the order that they came in unless sorted by `keys`."""
    return await fetch_children(session, _children(criteria, keys), projects, request)


async def count_objects_of_projects(
    session: AsyncSession, projects: Sequence[int], *, criteria: ObjectCriteria
) -> list[int | None]:
    """How many objects each project has, None above `COUNT_LIMIT`."""
    return await count_children(session, _children(criteria), projects, limit=COUNT_LIMIT)


def _children(criteria: ObjectCriteria, keys: tuple[SortKey, ...] = ()) -> Children[SyncedObject]:
    return Children(
        SyncedObject.project_id,
        lambda project: _query(criteria, project),
        lambda project: Order("objects", keys, SyncedObject.id, (criteria, project)),
    )


async def has_objects(session: AsyncSession, storage_id: int, project_id: int) -> bool:
    """Whether a storage has filled its project with anything."""
    query = select(SyncedObject.id).where(SyncedObject.project_id == project_id, SyncedObject.storage_id == storage_id)
    return await session.scalar(query.limit(1)) is not None
