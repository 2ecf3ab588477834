"""Jobs: the row is the truth, a task engine's ticket only delivers it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Json, Scoped, created_at, row_id
from sluicegate.core.clock import now

TICKS_PER_REVISION = 4096


class JobStatus(StrEnum):
    """Where a job is. The allowed changes are in `models.job_transitions`."""

    SCHEDULED = "SCHEDULED"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    PAUSED = "PAUSED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"


FINISHED = frozenset({JobStatus.CANCELED, JobStatus.FAILED, JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_ERRORS})
UNFINISHED = frozenset(JobStatus) - FINISHED
UNFINISHED_SQL = text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(UNFINISHED))))
"""The condition of the partial indexes, word for word: SQLite uses them only in queries that repeat it."""


class JobTrigger(StrEnum):
    """What started a job."""

    MANUAL = "MANUAL"
    SCHEDULE = "SCHEDULE"
    EVENT = "EVENT"
    RETRY = "RETRY"


class Job(Scoped, Base):
    """One piece of background work.

    `fence` is the attempt: every write of a run says `AND fence = …`, so a worker that lost its lease can't write.
    `row_rev` grows with every change of the row, `tick` with progress published between changes (never stored).
    `not_before`: earliest next start (a retry's back-off). `payload`: the job class's own arguments. `sync`: the
    counters of a sync run as in `SyncProgress`. `error`: {type, message, providerCode, hint}. `claimed_at`: when the
    lease was taken. `interruptions`: how often in a row a run ended without a word and without progress past
    `resume_point`, which stands for the checkpoint that the last run began from. `last_signal`: what a person asked
    for last: {signal, reason, by, at}. `sync_config_id`: whose run it is. `range_low`, `range_high`: the keys that a
    sync covers; runs of one storage into one project whose keys meet wait for each other. `counted`: what of `sync` is
    in the totals of the configuration already.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("uq_job_unfinished_unicity", "namespace_id", "unicity", unique=True,
              sqlite_where=UNFINISHED_SQL, postgresql_where=UNFINISHED_SQL),
        Index(None, "namespace_id", "id"),
        Index(None, "storage_id", "id"),
        Index(None, "sync_config_id", "id"),
        Index("ix_job_unfinished", "status", sqlite_where=UNFINISHED_SQL, postgresql_where=UNFINISHED_SQL),
        TABLE_ARGS,
    )  # fmt: skip

    id: Mapped[int] = row_id()
    job_class: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(default=JobStatus.QUEUED)
    progress: Mapped[float | None] = mapped_column(Float)
    retry_count: Mapped[int] = mapped_column(default=0)
    max_retries: Mapped[int] = mapped_column(default=3)
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    error_message: Mapped[str | None]
    unicity: Mapped[str | None]
    trigger: Mapped[str] = mapped_column(default=JobTrigger.MANUAL)
    run_id: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    sync: Mapped[dict[str, Any] | None] = mapped_column(Json)
    storage_id: Mapped[int | None] = mapped_column(ForeignKey("storage.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    sync_config_id: Mapped[int | None] = mapped_column(BigInteger)
    range_low: Mapped[bytes | None]
    range_high: Mapped[bytes | None]
    counted: Mapped[dict[str, Any] | None] = mapped_column(Json)
    scheduled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_by_kind: Mapped[str] = mapped_column(default="SYSTEM")
    created_by_id: Mapped[int | None] = mapped_column(BigInteger)
    created_by_name: Mapped[str] = mapped_column(default="")
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    worker_id: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    claimed_at: Mapped[datetime | None]
    interruptions: Mapped[int] = mapped_column(default=0)
    resume_point: Mapped[str | None]
    last_signal: Mapped[dict[str, Any] | None] = mapped_column(Json)
    not_before: Mapped[datetime | None]
    row_rev: Mapped[int] = mapped_column(BigInteger, default=0)
    tick: int = 0

    @property
    def revision(self) -> int:
        """Grows with every state that a subscriber can see: a change of the row always beats an unsaved tick."""
        return self.row_rev * TICKS_PER_REVISION + self.tick

    @property
    def finished(self) -> bool:
        """Whether the status is terminal."""
        return self.status in FINISHED
