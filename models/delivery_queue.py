"""Writes messages to webhooks, in the transaction of what they tell of. `models.delivery_attempts` takes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import after_commit
from models.deliveries import BatchStatus, Delivery, WebhookEvent
from models.jobs import FINISHED, Job, JobStatus
from models.sync_configs import SyncConfig, SyncConfigStatus

# Written out: a bound value would keep SQLite from the partial index.
PENDING = Delivery.status == literal_column("'PENDING'")
"""The condition of the messages that are to be delivered."""

COUNTERS = (
    "objectsFound", "objectsFiltered", "objectsDuplicate", "objectsUnchanged", "objectsSynced", "objectsFailed",
    "objectsMissing", "bytesFound", "bytesSynced", "batchesCreated", "rateLimitHits",
)  # fmt: skip
"""What a message tells of a run: names of the schema's SyncProgress."""

_MILESTONES = (WebhookEvent.SYNC_STARTED, WebhookEvent.SYNC_COMPLETED, WebhookEvent.SYNC_FAILED)
_MAX_ERROR = 2_000


def new_message_id() -> str:
    """A fresh id of a message: the receiver tells repeats by it. Without full stops, which the signature counts on."""
    return f"msg_{uuid.uuid4().hex}"


def wants(config: SyncConfig, event: WebhookEvent) -> bool:
    """Whether the configuration's webhook is told of this. Batches that are not wanted are written as SKIPPED."""
    asked_for = config.webhook_url is not None and event in config.webhook_events
    return asked_for and config.status != SyncConfigStatus.ARCHIVED


def announce(session: AsyncSession) -> None:
    """Wakes the delivery of this process after the session's commit: messages were written."""
    news = session.info["delivery_news"]

    async def wake() -> None:
        news.set()

    after_commit(session, wake)


async def note_status(session: AsyncSession, config: SyncConfig, job: Job, *, came_from: JobStatus | None) -> None:
    """Tells what a change of the job's status means: its first start, or the end of what had started."""
    if job.status == JobStatus.IN_PROGRESS and came_from != JobStatus.IN_PROGRESS:
        await note_event(session, config, job, WebhookEvent.SYNC_STARTED)
    elif job.status in FINISHED and job.started_at is not None:
        failed = job.status == JobStatus.FAILED
        await note_event(session, config, job, WebhookEvent.SYNC_FAILED if failed else WebhookEvent.SYNC_COMPLETED)


async def note_event(session: AsyncSession, config: SyncConfig, job: Job, event: WebhookEvent) -> None:
    """Writes a message about the run, which is not a dry one, if the webhook is to be told.

    A run that goes on after an interruption has started before: it is not told again. SYNC_COMPLETED is the end of
    every run that did not fail, also a canceled one: the message has the status. A message takes the place of
    progress that was not delivered yet.
    """
    if not wants(config, event):
        return
    if event is WebhookEvent.SYNC_STARTED and await _last_milestone(session, job.id) == event:
        return
    body = _body(config, job.status, job.sync, job.progress)
    if event is WebhookEvent.SYNC_FAILED:
        body["error"] = _error(job.error or {})
    await _write(session, config, job.id, event, body, job.updated_at)


async def note_progress(
    session: AsyncSession, config_id: int, job_id: int, *, sync: Mapping[str, Any], progress: float | None, at: datetime
) -> None:
    """Writes a SYNC_PROGRESS of a run that is not a dry one, with the counters that its commit saves."""
    config = await session.get(SyncConfig, config_id)
    if config is not None and wants(config, WebhookEvent.SYNC_PROGRESS):
        body = _body(config, JobStatus.IN_PROGRESS, sync, progress)
        await _write(session, config, job_id, WebhookEvent.SYNC_PROGRESS, body, at)


async def _write(
    session: AsyncSession, config: SyncConfig, job_id: int, event: WebhookEvent, body: dict[str, Any], at: datetime
) -> None:
    """The message, in the place of progress of the run that was not delivered yet."""
    await session.execute(
        delete(Delivery)
        .where(PENDING, Delivery.sync_config_id == config.id, Delivery.job_id == job_id)
        .where(Delivery.event == WebhookEvent.SYNC_PROGRESS)
        .execution_options(synchronize_session=False)
    )
    message = Delivery(
        namespace_id=config.namespace_id, sync_config_id=config.id, job_id=job_id, event=event, body=body,
        message_id=new_message_id(), status=BatchStatus.PENDING, next_attempt_at=at, created_at=at,
    )  # fmt: skip
    session.add(message)
    await session.flush()
    announce(session)


async def _last_milestone(session: AsyncSession, job_id: int) -> str | None:
    return await session.scalar(
        select(Delivery.event)
        .where(Delivery.job_id == job_id, Delivery.batch_number.is_(None), Delivery.event.in_(_MILESTONES))
        .order_by(Delivery.id.desc())
        .limit(1)
    )


def _body(config: SyncConfig, status: str, sync: Mapping[str, Any] | None, progress: float | None) -> dict[str, Any]:
    counts = sync or {}
    return {
        "runNumber": config.run_number, "status": status, "phase": counts.get("phase"), "progress": progress,
        "counters": {name: counts.get(name, 0) for name in COUNTERS}, "error": None,
    }  # fmt: skip


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    names = ("type", "message", "providerCode", "hint")
    return {name: error.get(name) and str(error[name])[:_MAX_ERROR] for name in names}
