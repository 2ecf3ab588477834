"""Which configurations' webhooks do not take what they are told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from models.deliveries import BatchStatus, Delivery
from models.sync_configs import SyncConfig

_SHOWN = 300


async def failing_webhooks(session: AsyncSession, config_ids: Sequence[int]) -> dict[int, str]:
    """By configuration, what the newest attempt ran into, for those whose webhook fails now. One query.

    The newest message that was tried tells: a receiver that came back is well, however much is still to be sent again.
    """
    newer = aliased(Delivery)
    newest = (
        select(newer.id)
        .where(newer.sync_config_id == SyncConfig.id, newer.attempts > 0)
        .order_by(newer.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(SyncConfig.id, Delivery.last_error)
        .join(Delivery, Delivery.id == newest)
        .where(SyncConfig.id.in_(config_ids), SyncConfig.webhook_url.is_not(None))
        .where(Delivery.last_error.is_not(None), Delivery.status.in_((BatchStatus.PENDING, BatchStatus.FAILED)))
    )
    return {config_id: f"The webhook fails: {error}"[:_SHOWN] for config_id, error in rows}


async def webhook_failures(session: AsyncSession, config_ids: Sequence[int]) -> list[str | None]:
    """As `failing_webhooks`, in the order of the ids; None: nothing fails."""
    found = await failing_webhooks(session, config_ids)
    return [found.get(config_id) for config_id in config_ids]
