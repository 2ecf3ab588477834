"""Keys that a source told of, noted by its watchers. `models.source_keys` takes them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import plain_sql
from models.config_transitions import touch
from models.job_configs import RELIST
from models.jobs import Job
from models.source_events import SourceEvent
from models.storages import Storage
from models.sync_configs import RUNNABLE, SyncConfig, SyncMode
from sluicegate.core.clock import to_micros

MAX_PENDING = 10_000
"""Keys that may wait for a configuration; beyond that they are dropped, and everything is listed instead."""
EVENT_QUEUE = "event_queue_url"
"""The setting of a storage that names the queue of its change notifications."""


_COLUMNS = {"storage_id": "bigint", "sync_config_id": "bigint", "source_key": "bytea", "created_at": "time"}
# Later than before whatever this machine's clock says: a run forgets what it took by the time that it read.
_AGAIN = "ON CONFLICT (storage_id, sync_config_id, source_key) DO UPDATE SET created_at = {}(excluded.created_at, {})"
_LATER = {True: ("MAX", "source_event.created_at + 1"),
          False: ("GREATEST", "source_event.created_at + interval '1 microsecond'")}  # fmt: skip


async def watchable(session: AsyncSession) -> list[Storage]:
    """The storages that tell of changes, and have a configuration that is to hear of them."""
    listens = select(SyncConfig.id).where(SyncConfig.storage_id == Storage.id, *_LISTENING).exists()
    queue = Storage.settings[EVENT_QUEUE].as_string()
    query = select(Storage).where(queue != "", Storage.deleted_at.is_(None), Storage.synchronizable, listens)
    return list(await session.scalars(query.order_by(Storage.id)))


async def note(session: AsyncSession, storage_id: int, keys: Collection[bytes], *, at: datetime) -> int:
    """Notes what a source told of for each configuration that covers it, and makes these due. Returns how many are.

    A key that is told of again while a run looks at it waits anew.
    """
    due = 0
    for config in await _listening(session, storage_id):
        covered = sorted({key for key in keys if config.range.covers(key)})
        if not covered:
            continue
        due += 1
        if len(covered) > MAX_PENDING:
            await _drop(session, config, at)  # as after writing them, which takes long
            continue
        await plain_sql.insert_many(
            session, "source_event", _COLUMNS,
            [(storage_id, config.id, key, to_micros(at)) for key in covered],
            conflict=_AGAIN.format(*_LATER[plain_sql.is_sqlite(session)]),
        )  # fmt: skip
        if await _pending(session, config) > MAX_PENDING:
            await _drop(session, config, at)
        elif config.listed_at is not None and config.current_job_id is None:
            await _make_due(session, config, at)
    return due


async def unheard(session: AsyncSession, storage_id: int, *, at: datetime) -> None:
    """The source's events can't be received: until they can, its configurations poll as if there were none."""
    for config in await _listening(session, storage_id):
        if config.listed_at is not None:
            config.listed_at = None
            await _make_due(session, config, at + timedelta(seconds=config.polling_interval_seconds))


def _of(storage_id: int, config_id: int) -> ColumnElement[bool]:
    return and_(SourceEvent.storage_id == storage_id, SourceEvent.sync_config_id == config_id)


_LISTENING = (SyncConfig.mode == SyncMode.CONTINUOUS, SyncConfig.status.in_(sorted(RUNNABLE)))


async def _listening(session: AsyncSession, storage_id: int) -> list[SyncConfig]:
    """Locked in the order of their ids, as the ticker's are not: it leaves out those that it finds locked."""
    query = select(SyncConfig).where(SyncConfig.storage_id == storage_id, *_LISTENING).order_by(SyncConfig.id)
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(await session.scalars(query))


async def _pending(session: AsyncSession, config: SyncConfig) -> int:
    waiting = select(SourceEvent.source_key).where(_of(config.storage_id, config.id)).limit(MAX_PENDING + 1)
    return await session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


async def _drop(session: AsyncSession, config: SyncConfig, at: datetime) -> None:
    await session.execute(
        delete(SourceEvent).where(_of(config.storage_id, config.id)).execution_options(synchronize_session=False)
    )
    config.listed_at = None
    if config.current_job_id is not None:
        job = await session.get(Job, config.current_job_id, with_for_update={"key_share": True})
        if job is not None:
            job.counted = {**(job.counted or {}), RELIST: True}
    await _make_due(session, config, at)


async def _make_due(session: AsyncSession, config: SyncConfig, at: datetime) -> None:
    if config.next_sync_at is None or config.next_sync_at > at:
        config.next_sync_at = at
    await touch(session, config, at)
