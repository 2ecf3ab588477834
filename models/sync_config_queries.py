"""Reading sync configurations. Every session is scoped to a namespace, so no query here names one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.access import Namespace
from models.criteria import Range, matching
from models.dead_letters import DeadLetter, DeadLetterStatus
from models.jobs import UNFINISHED, Job
from models.objects import Checkpoint, MissingCandidate, ObjectStatus, StagedObject, SyncedObject
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children, fetch_page
from models.sync_configs import RUNNABLE, SyncConfig, SyncConfigStatus

SORTS: dict[str, SortKey] = {
    "NAME": SortKey(SyncConfig.name, str),
    "STATUS": SortKey(SyncConfig.status, str),
    "CREATED_AT": SortKey(SyncConfig.created_at, datetime),
    "UPDATED_AT": SortKey(SyncConfig.updated_at, datetime),
    "LAST_SYNC_AT": SortKey(SyncConfig.last_sync_at, datetime, nullable=True),
    "NEXT_SYNC_AT": SortKey(SyncConfig.next_sync_at, datetime, nullable=True),
}


@dataclass(frozen=True, slots=True)
class SyncConfigCriteria:
    """Which configurations. Archived ones are listed only when `status` names ARCHIVED."""

    storage_id: tuple[int, ...] | None = None
    mode: tuple[str, ...] | None = None
    status: tuple[str, ...] | None = None
    is_active: bool | None = None
    created_at: Range[datetime] | None = None


def _query(criteria: SyncConfigCriteria) -> Select[SyncConfig]:
    query = select(SyncConfig).where(
        *matching(SyncConfig.storage_id, criteria.storage_id),
        *matching(SyncConfig.mode, criteria.mode),
        *matching(SyncConfig.status, criteria.status),
        *matching(SyncConfig.created_at, criteria.created_at),
    )
    if criteria.status is None:
        query = query.where(SyncConfig.status != SyncConfigStatus.ARCHIVED)
    if criteria.is_active is not None:
        active = SyncConfig.status.in_(sorted(RUNNABLE))
        query = query.where(active if criteria.is_active else ~active)
    return query


def _order(keys: tuple[SortKey, ...], criteria: SyncConfigCriteria, parent: object = None) -> Order:
    return Order("syncConfigs", keys, SyncConfig.id, (criteria, parent))


async def sync_configs_by_id(session: AsyncSession, ids: Sequence[int]) -> list[SyncConfig | None]:
    """The configurations with these ids, archived ones too; None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(SyncConfig).where(SyncConfig.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def list_sync_configs(
    session: AsyncSession,
    request: PageRequest,
    *,
    criteria: SyncConfigCriteria,
    keys: tuple[SortKey, ...] = (),
    project_id: int | None = None,
) -> Page[SyncConfig]:
    """A page of configurations; oldest first unless sorted by `keys`."""
    query = _query(criteria) if project_id is None else _query(criteria).where(SyncConfig.project_id == project_id)
    return await fetch_page(session, query, _order(keys, criteria, project_id), request)


async def count_sync_configs(session: AsyncSession, criteria: SyncConfigCriteria, project_id: int | None = None) -> int:
    """How many configurations there are."""
    query = _query(criteria) if project_id is None else _query(criteria).where(SyncConfig.project_id == project_id)
    return await session.scalar(query.with_only_columns(func.count(SyncConfig.id))) or 0


async def sync_configs_of_projects(
    session: AsyncSession,
    projects: Sequence[int],
    request: PageRequest,
    *,
    criteria: SyncConfigCriteria,
    keys: tuple[SortKey, ...] = (),
) -> list[Page[SyncConfig]]:
    """The same page of each project's configurations."""
    return await fetch_children(session, _children(SyncConfig.project_id, criteria, keys), projects, request)


async def count_sync_configs_of_projects(
    session: AsyncSession, projects: Sequence[int], *, criteria: SyncConfigCriteria
) -> list[int | None]:
    """How many configurations each project has."""
    return await count_children(session, _children(SyncConfig.project_id, criteria), projects)


async def sync_configs_of_storages(
    session: AsyncSession, storages: Sequence[int], request: PageRequest
) -> list[Page[SyncConfig]]:
    """The same page of the configurations that read each storage, oldest first."""
    children = _children(SyncConfig.storage_id, SyncConfigCriteria())
    return await fetch_children(session, children, storages, request)


async def count_sync_configs_of_storages(session: AsyncSession, storages: Sequence[int]) -> list[int | None]:
    """How many configurations read each storage."""
    return await count_children(session, _children(SyncConfig.storage_id, SyncConfigCriteria()), storages)


def _children(
    parent: InstrumentedAttribute[Any], criteria: SyncConfigCriteria, keys: tuple[SortKey, ...] = ()
) -> Children[SyncConfig]:
    return Children(
        parent,
        lambda number: _query(criteria).where(parent == number),
        lambda number: _order(keys, criteria, (parent.key, number)),
    )


async def other_configs(session: AsyncSession, *, project_id: int, besides: int | None) -> list[SyncConfig]:
    """The other configurations of a project, for finding overlaps. At most 1,000."""
    query = select(SyncConfig).where(
        SyncConfig.project_id == project_id, SyncConfig.status != SyncConfigStatus.ARCHIVED
    )
    if besides is not None:
        query = query.where(SyncConfig.id != besides)
    return list(await session.scalars(query.order_by(SyncConfig.id).limit(1_000)))


async def lock_count(session: AsyncSession, namespace_id: int, limit: int) -> int:
    """How many configurations the namespace has, at most `limit`, without archived ones.

    Nobody else who asks gets an answer before the transaction ends, so that what two make at once is counted too.
    """
    await session.execute(select(Namespace.id).where(Namespace.id == namespace_id).with_for_update(key_share=True))
    there = select(SyncConfig.id).where(SyncConfig.status != SyncConfigStatus.ARCHIVED).limit(limit)
    return await session.scalar(select(func.count()).select_from(there.subquery())) or 0


async def has_objects(session: AsyncSession, config: SyncConfig) -> bool:
    """Whether a configuration has filled its project with anything from where it reads now."""
    query = select(SyncedObject.id).where(
        SyncedObject.project_id == config.project_id,
        SyncedObject.storage_id == config.storage_id,
        SyncedObject.source_key >= config.range_low,
        SyncedObject.sync_config_id == config.id,
    )
    if config.range_high is not None:
        query = query.where(SyncedObject.source_key < config.range_high)
    return await session.scalar(query.limit(1)) is not None


async def configs_of_storage(session: AsyncSession, storage_id: int) -> list[int]:
    """The ids of the configurations that read a storage, without archived ones."""
    query = select(SyncConfig.id).where(
        SyncConfig.storage_id == storage_id, SyncConfig.status != SyncConfigStatus.ARCHIVED
    )
    return list(await session.scalars(query.order_by(SyncConfig.id)))


async def unfinished_jobs_of_config(session: AsyncSession, config_id: int) -> list[Job]:
    """A configuration's jobs that have not ended, dry runs and confirmations too."""
    query = select(Job).where(Job.sync_config_id == config_id, Job.status.in_(UNFINISHED)).order_by(Job.id)
    return list(await session.scalars(query))


def run_unicity(config_id: int, *, dry_run: bool = False) -> str:
    """What runs of a configuration have for a `unicity`: one that writes and a dry run may be under way at a time."""
    return f"{'dry-run' if dry_run else 'sync'}:config:{config_id}"


async def newest_run(session: AsyncSession, config_id: int) -> Job | None:
    """A configuration's newest run that writes; None before the first."""
    query = select(Job).where(Job.sync_config_id == config_id, Job.unicity == run_unicity(config_id))
    return await session.scalar(query.order_by(Job.id.desc()).limit(1))


async def has_staged(session: AsyncSession, config: SyncConfig, job_id: int) -> bool:
    """Whether anything that a configuration's runs found waits for confirmation: new, changed or, by a run, missed."""
    added = select(SyncedObject.source_key).where(
        SyncedObject.project_id == config.project_id,
        SyncedObject.storage_id == config.storage_id,
        SyncedObject.sync_config_id == config.id,
        SyncedObject.status == ObjectStatus.STAGED,
    )
    changed = select(StagedObject.source_key).where(
        StagedObject.project_id == config.project_id,
        StagedObject.storage_id == config.storage_id,
        StagedObject.sync_config_id == config.id,
    )
    missed = select(MissingCandidate.source_key).where(MissingCandidate.job_id == job_id)
    for query in (changed, missed, added):
        if await session.scalar(query.limit(1)) is not None:
            return True
    return False


async def checkpoints_by_job(session: AsyncSession, ids: Sequence[int]) -> list[Checkpoint | None]:
    """The checkpoints of these jobs, None for those that have none. Jobs of other namespaces have none."""
    query = select(Checkpoint).join(Job, Job.id == Checkpoint.job_id).where(Checkpoint.job_id.in_(ids))
    found = {row.job_id: row for row in await session.scalars(query)}
    return [found.get(number) for number in ids]


async def quarantined_by_config(session: AsyncSession, ids: Sequence[int]) -> list[int]:
    """How many dead letters of each configuration wait for someone to decide."""
    rows = await session.execute(
        select(DeadLetter.sync_config_id, func.count())
        .where(DeadLetter.sync_config_id.in_(ids), DeadLetter.status == DeadLetterStatus.QUARANTINED)
        .group_by(DeadLetter.sync_config_id)
    )
    found: dict[int | None, int] = {row[0]: row[1] for row in rows}
    return [found.get(number, 0) for number in ids]
