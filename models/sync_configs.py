"""Sync configurations: what of a storage goes into a project, how and when, and what came of it so far."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Json, Scoped, created_at, row_id
from models.ranges import KeyRange
from sluicegate.core.clock import now

MAX_FAILURES = 5
"""After so many failed runs in a row the gateway suspends a configuration."""


class SyncMode(StrEnum):
    """When a configuration runs. ONE_TIME is also the seed's `initial_only`."""

    CONTINUOUS = "CONTINUOUS"
    ONE_TIME = "ONE_TIME"
    SCHEDULED = "SCHEDULED"


class SyncConfigStatus(StrEnum):
    """Where a configuration is. The allowed changes are in `models.config_transitions`."""

    DRAFT = "DRAFT"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    IN_PROGRESS = "IN_PROGRESS"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    ARCHIVED = "ARCHIVED"


RUNNABLE = frozenset({SyncConfigStatus.PENDING, SyncConfigStatus.ACTIVE, SyncConfigStatus.IN_PROGRESS})
"""The statuses in which a configuration is active: it runs, or will by itself."""


class OnUpdate(StrEnum):
    """What becomes of an object that changed in its source."""

    REPLACE = "REPLACE"
    IGNORE = "IGNORE"


class OnDelete(StrEnum):
    """What becomes of an object that is no longer in its source."""

    MARK = "MARK"
    REMOVE = "REMOVE"
    IGNORE = "IGNORE"


class SyncConfig(Scoped, Base):
    """One configuration.

    `source_path` as it was given; `range_low` and `range_high` are the keys that it covers. `file_filters`,
    `schema_mapping`: in the schema's names. `polling_interval_seconds`: 30 to 900. `cron` wins over the interval.
    `next_sync_at`: when the ticker starts the next run, None: not by itself. `listed_at`: the last listing of
    everything, where events tell of changes in between. `rescan`: the path was changed, objects of the old one are
    to be judged. `mapping_digest`: of the mapping that all its objects were made by. `total_found` to `skipped_runs`
    are sums over all runs that wrote. `current_job_id`: the run that waits or is under way. `row_rev` grows with each
    change that subscribers see.
    """

    __tablename__ = "sync_config"
    __table_args__ = (
        Index(None, "namespace_id", "id"),
        Index(None, "project_id", "id"),
        Index(None, "storage_id", "id"),
        Index("ix_sync_config_due", "next_sync_at",
              sqlite_where=text("next_sync_at IS NOT NULL"), postgresql_where=text("next_sync_at IS NOT NULL")),
        TABLE_ARGS,
    )  # fmt: skip

    id: Mapped[int] = row_id()
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"))
    name: Mapped[str] = mapped_column(default="")
    source_path: Mapped[str]
    range_low: Mapped[bytes]
    range_high: Mapped[bytes | None]
    mode: Mapped[str] = mapped_column(default=SyncMode.CONTINUOUS)
    status: Mapped[str] = mapped_column(default=SyncConfigStatus.PENDING)
    file_filters: Mapped[dict[str, Any] | None] = mapped_column(Json)
    schema_mapping: Mapped[dict[str, Any] | None] = mapped_column(Json)
    custom_metadata: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    webhook_url: Mapped[str | None]
    webhook_events: Mapped[list[str]] = mapped_column(Json, default=list)
    sealed_webhook_secret: Mapped[str | None]
    polling_interval_seconds: Mapped[int] = mapped_column(default=300)
    cron: Mapped[str | None]
    time_zone: Mapped[str] = mapped_column(default="UTC")
    batch_size: Mapped[int] = mapped_column(default=50)
    batch_chunk_size: Mapped[int] = mapped_column(default=100)
    max_objects_per_run: Mapped[int | None] = mapped_column(BigInteger)
    checkpoint_frequency: Mapped[int] = mapped_column(default=1_000)
    skip_duplicates: Mapped[bool] = mapped_column(default=False)
    skip_batch_submission: Mapped[bool] = mapped_column(default=False)
    require_confirmation: Mapped[bool] = mapped_column(default=False)
    use_blob_urls: Mapped[bool] = mapped_column(default=True)
    on_update: Mapped[str] = mapped_column(default=OnUpdate.REPLACE)
    on_delete: Mapped[str] = mapped_column(default=OnDelete.MARK)
    max_missing_fraction: Mapped[float] = mapped_column(Float, default=0.5)
    resume_enabled: Mapped[bool] = mapped_column(default=True)
    total_found: Mapped[int] = mapped_column(BigInteger, default=0)
    total_synced: Mapped[int] = mapped_column(BigInteger, default=0)
    total_failed: Mapped[int] = mapped_column(BigInteger, default=0)
    total_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    total_batches: Mapped[int] = mapped_column(BigInteger, default=0)
    rate_limit_hits: Mapped[int] = mapped_column(BigInteger, default=0)
    duration_seconds: Mapped[float] = mapped_column(Float, default=0.0)
    skipped_runs: Mapped[int] = mapped_column(BigInteger, default=0)
    pause_reason: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[dict[str, Any] | None] = mapped_column(Json)
    run_number: Mapped[int] = mapped_column(BigInteger, default=0)
    current_job_id: Mapped[int | None] = mapped_column(BigInteger)
    last_job_id: Mapped[int | None] = mapped_column(BigInteger)
    last_sync_at: Mapped[datetime | None]
    next_sync_at: Mapped[datetime | None]
    listed_at: Mapped[datetime | None]
    rescan: Mapped[bool] = mapped_column(default=False)
    mapping_digest: Mapped[str | None]
    last_error: Mapped[str | None]
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    created_by_kind: Mapped[str] = mapped_column(default="SYSTEM")
    created_by_id: Mapped[int | None] = mapped_column(BigInteger)
    created_by_name: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = mapped_column(default=now)
    row_rev: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def revision(self) -> int:
        """Orders the states that subscribers see; see `models.jobs.Job.revision`."""
        return self.row_rev * 4096

    @property
    def range(self) -> KeyRange:
        """The keys that its source path covers."""
        return KeyRange(self.range_low, self.range_high)

    @property
    def is_active(self) -> bool:
        """Whether it runs, or will by itself."""
        return self.status in RUNNABLE
