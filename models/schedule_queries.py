"""What the ticker reads and writes: due configurations become jobs, many in one transaction and few statements."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models import job_requests
from models.changes import changes
from models.config_slots import following_slot, lists_seldom
from models.job_configs import SYNC_CONFIG
from models.jobs import Job, JobStatus, JobTrigger
from models.source_event_queries import EVENT_QUEUE
from models.source_events import SourceEvent
from models.storages import Storage
from models.sync_configs import RUNNABLE, SyncConfig, SyncMode
from sluicegate.core.actors import SYSTEM
from sluicegate.core.errors import AlreadyRunningError

PART = 500
"""Configurations of one transaction: a write by someone else waits no longer than for these."""


_SCHEDULABLE = (
    SyncConfig.next_sync_at.is_not(None), SyncConfig.status.in_(sorted(RUNNABLE)), Storage.id == SyncConfig.storage_id,
    Storage.deleted_at.is_(None), Storage.synchronizable,
)  # fmt: skip
"""Configurations that start by themselves."""


@dataclass(slots=True)
class Started:
    """What one transaction of the ticker did. `lag`: seconds by which the most overdue one was late."""

    taken: int = 0
    started: int = 0
    skipped: list[int] = field(default_factory=list[int])
    lag: float = 0.0


async def any_due(session: AsyncSession, *, at: datetime) -> bool:
    """Whether there is something to start: a look without a lock."""
    query = select(SyncConfig.id).where(*_SCHEDULABLE, SyncConfig.next_sync_at <= at).limit(1)
    return await session.scalar(query) is not None


async def next_due(session: AsyncSession, *, after: datetime) -> datetime | None:
    """The first moment after `after` at which a configuration becomes due."""
    query = select(func.min(SyncConfig.next_sync_at)).where(*_SCHEDULABLE, SyncConfig.next_sync_at > after)
    return await session.scalar(query)


async def start_due(session: AsyncSession, *, at: datetime) -> Started:
    """Starts the runs of up to PART due configurations, the most overdue first, and sets when each is due next.

    What another process has in hand is left to it. A configuration whose run has not ended starts none: SCHEDULED
    counts it as skipped.
    """
    query = (
        select(SyncConfig, Storage.settings)
        .where(*_SCHEDULABLE, SyncConfig.next_sync_at <= at)
        .order_by(SyncConfig.next_sync_at, SyncConfig.id)
        .limit(PART)
        .with_for_update(of=SyncConfig, skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    rows = (await session.execute(query)).all()
    result = Started(taken=len(rows))
    begin: list[tuple[SyncConfig, JobTrigger]] = []
    configs = [config for config, _ in rows]
    told, scheduled = await _told_of(session, configs), await _scheduled(session, configs)
    for config, settings in rows:
        slot = config.next_sync_at
        assert slot is not None
        result.lag = max(result.lag, (at - slot).total_seconds())
        events = bool(settings.get(EVENT_QUEUE))
        if config.current_job_id is not None:
            await _overlap(session, config, result, at, waits=config.current_job_id in scheduled)
        elif not (events and lists_seldom(config, at)):
            begin.append((config, JobTrigger.SCHEDULE))
        elif config.id in told:
            begin.append((config, JobTrigger.EVENT))
        config.next_sync_at = following_slot(config, slot, at, events=events)
        config.updated_at = at
        config.row_rev += 1
        changes(session)["syncConfig", config.id] = config
    result.started = await _begin(session, begin, at)
    await session.flush()
    return result


async def _overlap(session: AsyncSession, config: SyncConfig, result: Started, at: datetime, *, waits: bool) -> None:
    """The run before has not ended. One that only `waits` for a time to come is the run that is due now."""
    if waits:
        assert config.current_job_id is not None
        await job_requests.run_scheduled(session, config.current_job_id, at=at)
        result.started += 1
    elif config.mode == SyncMode.SCHEDULED:
        config.skipped_runs += 1
        result.skipped.append(config.id)


async def _scheduled(session: AsyncSession, configs: Sequence[SyncConfig]) -> set[int]:
    """The runs of the configurations that wait for a time that someone gave."""
    runs = [config.current_job_id for config in configs if config.current_job_id is not None]
    if not runs:
        return set()
    return set(await session.scalars(select(Job.id).where(Job.id.in_(runs), Job.status == JobStatus.SCHEDULED)))


async def _told_of(session: AsyncSession, configs: Sequence[SyncConfig]) -> set[int]:
    """Those of the configurations that keys wait for."""
    ids = [config.id for config in configs if config.listed_at is not None and config.mode == SyncMode.CONTINUOUS]
    storages = {config.storage_id for config in configs if config.id in set(ids)}
    if not ids:
        return set()
    query = select(SourceEvent.sync_config_id).where(
        SourceEvent.storage_id.in_(storages), SourceEvent.sync_config_id.in_(ids)
    )
    return set(await session.scalars(query.distinct()))


async def _begin(session: AsyncSession, due: Sequence[tuple[SyncConfig, JobTrigger]], at: datetime) -> int:
    """New jobs for these, in one statement."""
    if not due:
        return 0
    rows = [_row(config, trigger, at) for config, trigger in due]
    try:
        async with session.begin_nested():
            jobs = list(await session.scalars(insert(Job).returning(Job, sort_by_parameter_order=True), rows))
    except IntegrityError:
        # A job of that unicity that the row does not know of: one of them must not keep the others from starting.
        return await _begin_singly(session, due, at)
    for (config, _), job in zip(due, jobs, strict=True):
        config.current_job_id = job.id
        changes(session)["job", job.id] = job
    return len(jobs)


async def _begin_singly(session: AsyncSession, due: Sequence[tuple[SyncConfig, JobTrigger]], at: datetime) -> int:
    started = 0
    for config, trigger in due:
        try:
            await job_requests.insert(
                session, namespace_id=config.namespace_id, job_class=SYNC_CONFIG, unicity=_unicity(config),
                payload=_payload(trigger), created_by=SYSTEM, trigger=trigger, storage_id=config.storage_id,
                project_id=config.project_id, sync_config_id=config.id, key_range=config.range, at=at,
            )  # fmt: skip
            started += 1
        except AlreadyRunningError as error:
            config.current_job_id = error.job.id
    return started


def _unicity(config: SyncConfig) -> str:
    return f"sync:config:{config.id}"


def _payload(trigger: JobTrigger) -> dict[str, Any]:
    only_keys = trigger is JobTrigger.EVENT
    return {"fullSync": False, "dryRun": False, "allowMassMissing": False, "onlyKeys": only_keys}


def _row(config: SyncConfig, trigger: JobTrigger, at: datetime) -> dict[str, Any]:
    return {
        "namespace_id": config.namespace_id, "job_class": SYNC_CONFIG, "unicity": _unicity(config),
        "payload": _payload(trigger), "trigger": trigger, "status": JobStatus.QUEUED, "run_id": uuid.uuid4().hex,
        "storage_id": config.storage_id, "project_id": config.project_id, "sync_config_id": config.id,
        "range_low": config.range_low, "range_high": config.range_high,
        "created_by_kind": SYSTEM.kind, "created_by_id": SYSTEM.id, "created_by_name": SYSTEM.name,
        "created_at": at, "updated_at": at, "row_rev": 1,
    }  # fmt: skip
