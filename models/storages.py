"""Connections to sources, with their import settings and the state of their last sync."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Json, Scoped, created_at, row_id
from sluicegate.core.clock import now


class SyncStatus(StrEnum):
    """The state of a storage's last sync (seed 000); CANCELED is ours."""

    INITIALIZED = "INITIALIZED"
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    CANCELED = "CANCELED"


class Storage(Scoped, Base):
    """One storage. `settings`: the provider's own without secrets; `sealed_secrets`: encrypted, None: there are none.

    `presign_ttl`: minutes. `row_rev` grows with each change that subscribers see.
    """

    __tablename__ = "storage"
    __table_args__ = (Index(None, "namespace_id", "id"), Index(None, "project_id", "id"), TABLE_ARGS)

    id: Mapped[int] = row_id()
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    type: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    settings: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    sealed_secrets: Mapped[str | None]
    credentials_set: Mapped[list[str]] = mapped_column(Json, default=list)
    regex_filter: Mapped[str | None]
    recursive_scan: Mapped[bool] = mapped_column(default=True)
    use_blob_urls: Mapped[bool] = mapped_column(default=False)
    presign: Mapped[bool] = mapped_column(default=True)
    presign_ttl: Mapped[int] = mapped_column(default=1)
    synchronizable: Mapped[bool] = mapped_column(default=True)
    max_requests_per_second: Mapped[float | None] = mapped_column(Float)
    max_bytes_per_second: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default=SyncStatus.INITIALIZED)
    last_sync: Mapped[datetime | None]
    last_sync_count: Mapped[int | None] = mapped_column(BigInteger)
    last_sync_job_id: Mapped[int | None] = mapped_column(BigInteger)
    traceback: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]
    row_rev: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def revision(self) -> int:
        """Orders the states that subscribers see; see `models.jobs.Job.revision`."""
        return self.row_rev * 4096
