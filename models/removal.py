"""Removing what is no longer wanted, a part in each transaction, so that no other write waits long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.dead_letters import DeadLetter
from models.jobs import UNFINISHED, Job
from models.objects import ObjectStatus, SourceFile, StagedObject, SyncedObject
from models.projects import Project
from models.ranges import KeyRange
from models.source_events import SourceEvent
from models.storages import Storage
from models.sync_configs import SyncConfig

PART = 2_000
"""Rows of one transaction."""


async def remove_objects(session: AsyncSession, project_id: int, storage_id: int | None = None) -> int:
    """Removes at most `PART` of a project's objects, or of one storage's in it. How many; 0 when none are left."""
    some = select(SyncedObject.id).where(SyncedObject.project_id == project_id)
    if storage_id is not None:
        some = some.where(SyncedObject.storage_id == storage_id)
    ids = list(await session.scalars(some.limit(PART)))
    if ids:
        await session.execute(delete(SyncedObject).where(SyncedObject.id.in_(ids)))
    return len(ids)


@dataclass(frozen=True, slots=True)
class ConfigScope:
    """What a configuration that is deleted has written to. `keys`: under its source path."""

    config_id: int
    project_id: int
    storage_id: int
    keys: KeyRange


async def remove_of_config(session: AsyncSession, scope: ConfigScope, *, staged_only: bool) -> int:
    """Removes at most `PART` of the objects that a configuration wrote last. How many; 0 when none are left.

    `staged_only`: those that wait for confirmation, which nobody can give any more.
    """
    some = select(SyncedObject.id).where(
        SyncedObject.project_id == scope.project_id,
        SyncedObject.storage_id == scope.storage_id,
        SyncedObject.sync_config_id == scope.config_id,
    )
    if staged_only:
        some = some.where(SyncedObject.status == ObjectStatus.STAGED)
    ids = list(await session.scalars(some.limit(PART)))
    if ids:
        await session.execute(delete(SyncedObject).where(SyncedObject.id.in_(ids)))
    return len(ids)


async def remove_kept(session: AsyncSession, *, project_id: int, config_id: int | None = None) -> int:
    """Removes at most `PART` of what is kept besides objects: dead letters, and versions that are staged.

    Of a project, or of one configuration in it. How many; 0 when none are left.
    """
    letters, staged = [DeadLetter.project_id == project_id], [StagedObject.project_id == project_id]
    if config_id is not None:
        letters.append(DeadLetter.sync_config_id == config_id)
        staged.append(StagedObject.sync_config_id == config_id)
    ids = list(await session.scalars(select(DeadLetter.id).where(*letters).limit(PART)))
    if ids:
        await session.execute(delete(DeadLetter).where(DeadLetter.id.in_(ids)))
        return len(ids)
    rows = list(await session.scalars(select(StagedObject).where(*staged).limit(PART)))
    for row in rows:
        await session.delete(row)
    return len(rows)


async def forget_files_of_config(session: AsyncSession, scope: ConfigScope) -> None:
    """Removes what is remembered of the files under a configuration's path, so that another sync reads them anew."""
    files = delete(SourceFile).where(
        SourceFile.project_id == scope.project_id,
        SourceFile.storage_id == scope.storage_id,
        SourceFile.source_key >= scope.keys.low,
    )
    await session.execute(files if scope.keys.high is None else files.where(SourceFile.source_key < scope.keys.high))


async def delete_config(session: AsyncSession, config: SyncConfig) -> None:
    """Removes a configuration's row, the keys noted for it, and what was to be told to its webhook."""
    await session.execute(
        delete(SourceEvent).where(SourceEvent.storage_id == config.storage_id, SourceEvent.sync_config_id == config.id)
    )
    await session.delete(config)
    await session.flush()


async def is_config_busy(session: AsyncSession, config_id: int) -> bool:
    """Whether a run of a configuration may still write."""
    query = select(Job.id).where(Job.sync_config_id == config_id, Job.status.in_(UNFINISHED))
    return await session.scalar(query.limit(1)) is not None


async def forget_files(session: AsyncSession, storages: Sequence[int]) -> None:
    """Removes what is remembered of the files of storages, so that a next sync would read them anew."""
    await session.execute(delete(SourceFile).where(SourceFile.storage_id.in_(storages)))


async def projects_of_storage(session: AsyncSession, storage_id: int) -> list[int]:
    """The projects that have objects of a storage, or configurations that read it."""
    within = or_(
        exists().where(SyncedObject.project_id == Project.id, SyncedObject.storage_id == storage_id),
        exists().where(SyncConfig.project_id == Project.id, SyncConfig.storage_id == storage_id),
    )
    return list(await session.scalars(select(Project.id).where(within).order_by(Project.id)))


async def storages_of_project(session: AsyncSession, project_id: int) -> list[int]:
    """A project's storages, archived ones too."""
    return list(await session.scalars(select(Storage.id).where(Storage.project_id == project_id).order_by(Storage.id)))


async def configs_of_project(session: AsyncSession, project_id: int) -> list[int]:
    """A project's configurations, archived ones too."""
    query = select(SyncConfig.id).where(SyncConfig.project_id == project_id)
    return list(await session.scalars(query.order_by(SyncConfig.id)))


async def is_busy(session: AsyncSession, storages: Sequence[int], project_id: int | None = None) -> bool:
    """Whether a run may still write to one of these storages, or to the project."""
    of = Job.storage_id.in_(storages)
    if project_id is not None:
        of = or_(of, Job.project_id == project_id)
    query = select(Job.id).where(of, Job.status.in_(UNFINISHED))
    return await session.scalar(query.limit(1)) is not None


async def remove_project(session: AsyncSession, project_id: int) -> None:
    """Removes a project's row with its configurations, storages and their jobs, once its objects are gone.

    A storage that was moved here stays, archived, for the objects that it has in the project that it came from.
    """
    storages = await storages_of_project(session, project_id)
    for storage in list(storages):
        elsewhere = [other for other in await projects_of_storage(session, storage) if other != project_id]
        if elsewhere:
            storages.remove(storage)
            await session.execute(update(Storage).where(Storage.id == storage).values(project_id=elsewhere[0]))
    await forget_files(session, storages)
    await session.execute(delete(SourceFile).where(SourceFile.project_id == project_id))
    configs = select(SyncConfig.id).where(SyncConfig.project_id == project_id)
    events = or_(
        SourceEvent.storage_id.in_(storages), SourceEvent.sync_config_id.in_(list(await session.scalars(configs)))
    )
    await session.execute(delete(SourceEvent).where(events))
    await session.execute(delete(SyncConfig).where(SyncConfig.project_id == project_id))
    await session.execute(delete(Job).where(Job.storage_id.in_(storages)))
    await session.execute(update(Job).where(Job.project_id == project_id).values(project_id=None))
    await session.execute(delete(Storage).where(Storage.id.in_(storages)))
    await session.execute(delete(Project).where(Project.id == project_id))
