"""Takes messages to webhooks for an attempt, and writes down how it ended.

Several processes deliver beside one another. An attempt is a lease: taking a message moves its `next_attempt_at` on, so
that the message of a process that was killed is tried again then: each is delivered at least once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.deliveries import BatchStatus, Delivery, WebhookEvent
from models.delivery_queue import PENDING, wants
from models.sync_configs import SyncConfig, SyncConfigStatus

_ROUNDS = 3
"""So often more are looked for where some of the due messages may not be sent now."""


class Waiting(NamedTuple):
    """A configuration with messages, and when the first of them is due."""

    config_id: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is to be sent now. `attempts` counts this one. `items`: [[key in hex, row], …] of a batch."""

    id: int
    namespace_id: int
    config_id: int
    job_id: int
    event: WebhookEvent
    batch_number: int | None
    message_id: str
    items: list[Any] | None
    body: dict[str, Any] | None
    attempts: int
    created_at: datetime
    url: str
    sealed_secret: str | None


async def waiting(session: AsyncSession) -> list[Waiting]:
    """Every configuration that has messages. Costs two look-ups in an index for each, however many messages it has."""
    later = aliased(Delivery)
    configs = select(func.min(Delivery.sync_config_id).label("id")).where(PENDING).cte("configs", recursive=True)
    following = select(func.min(later.sync_config_id)).where(_pending(later), later.sync_config_id > configs.c.id)
    configs = configs.union_all(select(following.scalar_subquery()).where(configs.c.id.is_not(None)))
    first = select(func.min(Delivery.next_attempt_at)).where(PENDING, Delivery.sync_config_id == configs.c.id)
    rows = await session.execute(select(configs.c.id, first.scalar_subquery()).where(configs.c.id.is_not(None)))
    return [Waiting(config_id, due_at) for config_id, due_at in rows if due_at is not None]


async def take(
    session: AsyncSession, wanted: Mapping[int, int], *, at: datetime, lease_seconds: float
) -> list[Message]:
    """Up to so many due messages of each configuration, the oldest first, for one attempt each.

    A message about a run waits for the run's earlier ones, whatever becomes of them: a receiver never hears of an end
    before the start. Where nobody is to be told any more, the messages end SKIPPED, with the reason.
    """
    taken: list[Message] = []
    for config_id, limit in wanted.items():
        config = await session.get(SyncConfig, config_id)
        reason = _why_not(config)
        if config is None or config.webhook_url is None or reason is not None:
            await _skip_all(session, config_id, reason or "")
            continue
        taken += await _take_of(session, config, config.webhook_url, limit, at, at + timedelta(seconds=lease_seconds))
    return taken


async def _take_of(
    session: AsyncSession, config: SyncConfig, url: str, limit: int, at: datetime, until: datetime
) -> list[Message]:
    """The due messages of one configuration. No more rows are locked than are taken or put off."""
    taken: list[Message] = []
    for _ in range(_ROUNDS):
        due = await session.scalars(
            select(Delivery)
            .where(PENDING, Delivery.sync_config_id == config.id, Delivery.next_attempt_at <= at)
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(limit - len(taken))
            .with_for_update(skip_locked=True)
        )
        rows = due.all()
        for row in rows:
            if not wants(config, WebhookEvent(row.event)):
                _end(row, BatchStatus.SKIPPED, "The webhook is not told of this event any more.")
            elif not await _waits(session, row, at):
                row.attempts += 1
                row.next_attempt_at = until
                taken.append(_message(row, config, url))
        if not rows or len(taken) == limit:
            break
    return taken


async def delivered(session: AsyncSession, message: Message, *, at: datetime) -> None:
    """The receiver took it. What it was about is forgotten."""
    await session.execute(
        update(Delivery)
        .where(PENDING, Delivery.id == message.id)
        .values(
            status=BatchStatus.DELIVERED, delivered_at=at, next_attempt_at=None, last_error=None, items=None, body=None
        )
        .execution_options(synchronize_session=False)
    )
    await _release_followers(session, message, at)


async def try_again(session: AsyncSession, message: Message, error: str, *, at: datetime) -> None:
    """The attempt failed; the next one is not before `at`. Nothing, where another process made a later attempt."""
    await session.execute(
        update(Delivery)
        .where(PENDING, Delivery.id == message.id, Delivery.attempts == message.attempts)
        .values(next_attempt_at=at, last_error=error)
        .execution_options(synchronize_session=False)
    )


async def give_up(session: AsyncSession, message: Message, error: str, *, at: datetime) -> None:
    """The last attempt failed. As `try_again`."""
    await session.execute(
        update(Delivery)
        .where(PENDING, Delivery.id == message.id, Delivery.attempts == message.attempts)
        .values(status=BatchStatus.FAILED, next_attempt_at=None, last_error=error, items=None, body=None)
        .execution_options(synchronize_session=False)
    )
    await _release_followers(session, message, at)


def _pending(entity: type[Delivery]) -> Any:
    return entity.status == PENDING.right


def _why_not(config: SyncConfig | None) -> str | None:
    """Why the configuration's webhook is told nothing any more."""
    if config is None or config.status == SyncConfigStatus.ARCHIVED:
        return "The configuration was archived."
    return None if config.webhook_url is not None else "The webhook was removed."


async def _skip_all(session: AsyncSession, config_id: int, reason: str) -> None:
    await session.execute(
        update(Delivery)
        .where(PENDING, Delivery.sync_config_id == config_id)
        .values(status=BatchStatus.SKIPPED, next_attempt_at=None, last_error=reason, items=None, body=None)
        .execution_options(synchronize_session=False)
    )


def _end(row: Delivery, status: BatchStatus, reason: str) -> None:
    row.status, row.last_error = status, reason
    row.next_attempt_at = row.items = row.body = None


async def _waits(session: AsyncSession, row: Delivery, at: datetime) -> bool:
    """Whether an earlier message about the same run is under way or still to come; then looked at again after it."""
    if row.batch_number is not None:
        return False
    earlier = await session.scalar(
        select(Delivery.next_attempt_at)
        .where(PENDING, Delivery.sync_config_id == row.sync_config_id, Delivery.job_id == row.job_id)
        .where(Delivery.batch_number.is_(None), Delivery.id < row.id)
        .order_by(Delivery.id)
        .limit(1)
    )
    if earlier is None:
        return False
    row.next_attempt_at = max(earlier, at) + timedelta(milliseconds=1)
    return True


async def _release_followers(session: AsyncSession, message: Message, at: datetime) -> None:
    """What waited for this message is due now."""
    if message.batch_number is not None:
        return
    await session.execute(
        update(Delivery)
        .where(PENDING, Delivery.sync_config_id == message.config_id, Delivery.job_id == message.job_id)
        .where(Delivery.batch_number.is_(None), Delivery.attempts == 0)
        .values(next_attempt_at=at)
        .execution_options(synchronize_session=False)
    )


def _message(row: Delivery, config: SyncConfig, url: str) -> Message:
    assert row.message_id is not None
    return Message(
        id=row.id, namespace_id=row.namespace_id, config_id=row.sync_config_id, job_id=row.job_id,
        event=WebhookEvent(row.event), batch_number=row.batch_number, message_id=row.message_id, items=row.items,
        body=row.body, attempts=row.attempts, created_at=row.created_at, url=url,
        sealed_secret=config.sealed_webhook_secret,
    )  # fmt: skip
