"""Removing what is no longer wanted, a part in each transaction, so that no other write waits long."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import UNFINISHED, Job
from models.objects import SourceFile, SyncedObject
from models.projects import Project
from models.storages import Storage

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


async def forget_files(session: AsyncSession, storages: Sequence[int]) -> None:
    """Removes what is remembered of the files of storages, so that a next sync would read them anew."""
    await session.execute(delete(SourceFile).where(SourceFile.storage_id.in_(storages)))


async def projects_of_storage(session: AsyncSession, storage_id: int) -> list[int]:
    """The projects that have objects of a storage: more than one when it was moved."""
    within = exists().where(SyncedObject.project_id == Project.id, SyncedObject.storage_id == storage_id)
    return list(await session.scalars(select(Project.id).where(within).order_by(Project.id)))


async def storages_of_project(session: AsyncSession, project_id: int) -> list[int]:
    """A project's storages, archived ones too."""
    return list(await session.scalars(select(Storage.id).where(Storage.project_id == project_id).order_by(Storage.id)))


async def is_busy(session: AsyncSession, storages: Sequence[int]) -> bool:
    """Whether a run may still write to one of these storages."""
    query = select(Job.id).where(Job.storage_id.in_(storages), Job.status.in_(UNFINISHED))
    return await session.scalar(query.limit(1)) is not None


async def remove_project(session: AsyncSession, project_id: int) -> None:
    """Removes a project's row with its storages and their jobs, once its objects are gone.

    A storage that was moved here stays, archived, for the objects that it has in the project that it came from.
    """
    storages = await storages_of_project(session, project_id)
    for storage in list(storages):
        elsewhere = [other for other in await projects_of_storage(session, storage) if other != project_id]
        if elsewhere:
            storages.remove(storage)
            await session.execute(update(Storage).where(Storage.id == storage).values(project_id=elsewhere[0]))
    await forget_files(session, storages)
    await session.execute(delete(Job).where(Job.storage_id.in_(storages)))
    await session.execute(update(Job).where(Job.project_id == project_id).values(project_id=None))
    await session.execute(delete(Storage).where(Storage.id.in_(storages)))
    await session.execute(delete(Project).where(Project.id == project_id))
