"""Messages to webhooks: written with what they tell of, in its transaction, and delivered at least once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Json, Scoped, created_at, row_id


class WebhookEvent(StrEnum):
    """What a webhook can be told."""

    SYNC_STARTED = "SYNC_STARTED"
    SYNC_PROGRESS = "SYNC_PROGRESS"
    SYNC_COMPLETED = "SYNC_COMPLETED"
    SYNC_FAILED = "SYNC_FAILED"
    BATCH_READY = "BATCH_READY"


class BatchStatus(StrEnum):
    """PENDING until its webhook took it; FAILED when it never did; SKIPPED: nobody asked for it."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


_PENDING = text("status = 'PENDING'")


class Delivery(Scoped, Base):
    """One message; one with a `batch_number` is a batch, which the API shows.

    `message_id`: the same in each attempt, for the receiver to tell repeats (None: SKIPPED). `items`: the batch's
    objects as [[key in hex, row], …] while they are to be delivered. `body`: of the other events.
    `next_attempt_at`: of a pending one, never None: not before then; while an attempt is under way, when another
    process may make the next.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index(None, "sync_config_id", "id"),
        Index("ix_delivery_pending", "sync_config_id", "next_attempt_at", sqlite_where=_PENDING,
              postgresql_where=_PENDING),
        TABLE_ARGS,
    )  # fmt: skip

    id: Mapped[int] = row_id()
    sync_config_id: Mapped[int] = mapped_column(ForeignKey("sync_config.id", ondelete="CASCADE"))
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    event: Mapped[str]
    batch_number: Mapped[int | None] = mapped_column(BigInteger)
    object_count: Mapped[int] = mapped_column(default=0)
    items: Mapped[list[Any] | None] = mapped_column(Json)
    body: Mapped[dict[str, Any] | None] = mapped_column(Json)
    message_id: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=BatchStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = created_at()
    delivered_at: Mapped[datetime | None]
