"""What a run of a configuration leaves with it for the next one."""

from __future__ import annotations

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import FINISHED, Job
from models.objects import Checkpoint, SourceFile, SyncedObject
from models.ranges import KeyRange
from models.sync_configs import SyncConfig


async def note_listed(session: AsyncSession, sync_config_id: int, keys: KeyRange, mapping_digest: str | None) -> None:
    """A run saw all of its range through: all that it has is of this mapping, and nothing lies outside any more.

    For the transaction that ends the job (`job_state.finish`): it has locked the configuration, and its row.
    """
    config = await session.get(SyncConfig, sync_config_id)
    if config is None:
        return
    config.mapping_digest = mapping_digest
    # Not where the path was changed once more meanwhile.
    if config.range == keys:
        config.rescan = False


async def note_mapping(session: AsyncSession, sync_config_id: int, mapping_digest: str | None) -> None:
    """All that the configuration will find known is of this mapping."""
    await session.execute(
        update(SyncConfig)
        .where(SyncConfig.id == sync_config_id)
        .values(mapping_digest=mapping_digest)
        .execution_options(synchronize_session=False)
    )


async def knows_any(session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange) -> bool:
    """Whether the catalogue has anything of the range."""
    found = [
        select(row.source_key)
        .where(row.project_id == project_id, row.storage_id == storage_id, row.source_key >= keys.low)
        .where(*([] if keys.high is None else [row.source_key < keys.high]))
        for row in (SyncedObject, SourceFile)
    ]
    return bool(await session.scalar(select(exists(found[0])))) or bool(await session.scalar(select(exists(found[1]))))


async def has_outside(session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange, inner: KeyRange) -> bool:
    """Whether the catalogue has objects of the range, shown or waiting, outside of a part of it."""
    there = (
        SyncedObject.project_id == project_id, SyncedObject.storage_id == storage_id,
        SyncedObject.status.in_(["SYNCED", "STAGED"]),
    )  # fmt: skip
    below = select(SyncedObject.id).where(
        *there, SyncedObject.source_key >= keys.low, SyncedObject.source_key < inner.low
    )
    if await session.scalar(select(exists(below))):
        return True
    if inner.high is None:
        return False
    above = select(SyncedObject.id).where(*there, SyncedObject.source_key >= inner.high)
    if keys.high is not None:
        above = above.where(SyncedObject.source_key < keys.high)
    return bool(await session.scalar(select(exists(above))))


async def limited_runs(session: AsyncSession, sync_config_id: int, job_id: int) -> list[tuple[int, dict[str, object]]]:
    """(job, checkpoint) of the configuration's runs before `job_id` that have ended and left one, the newest first.

    Few: a run drops those that it does not go on from. Those over single keys leave them beside those that list.
    """
    found = await session.execute(
        select(Checkpoint.job_id, Checkpoint.state)
        .join(Job, Job.id == Checkpoint.job_id)
        .where(Job.sync_config_id == sync_config_id, Job.id < job_id, Job.status.in_(FINISHED))
        .order_by(Checkpoint.job_id.desc())
        .limit(10)
    )
    return [(row[0], row[1]) for row in found]


async def drop_checkpoint(session: AsyncSession, job_id: int) -> None:
    """The run of the job is not gone on with."""
    await session.execute(
        delete(Checkpoint).where(Checkpoint.job_id == job_id).execution_options(synchronize_session=False)
    )
