"""Records that a sync could not take: kept until they succeed or someone decides about them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Scoped, row_id

WHOLE_FILE = -1
"""The `row` of a dead letter that is a whole file."""


class DeadLetterStatus(StrEnum):
    """QUARANTINED until asked for again (REQUEUED), taken after all (RESOLVED) or given up by someone (DISCARDED)."""

    QUARANTINED = "QUARANTINED"
    REQUEUED = "REQUEUED"
    RESOLVED = "RESOLVED"
    DISCARDED = "DISCARDED"


class DeadLetter(Scoped, Base):
    """One record that failed. `row`: in the file, WHOLE_FILE for all of it. `attempts`: over all runs.

    `error_type`: an ErrorCode, or PARSE, MAPPING. `sync_config_id`: None for a storage's own sync.
    """

    __tablename__ = "dead_letter"
    __table_args__ = (
        UniqueConstraint("project_id", "storage_id", "source_key", "row", name="uq_dead_letter_identity"),
        Index(None, "namespace_id", "id"),
        Index("ix_dead_letter_config", "sync_config_id", "status"),
        Index("ix_dead_letter_storage", "storage_id", "status"),
        TABLE_ARGS,
    )

    id: Mapped[int] = row_id()
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"))
    sync_config_id: Mapped[int | None] = mapped_column(BigInteger)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    source_key: Mapped[bytes]
    row: Mapped[int] = mapped_column(BigInteger)
    path: Mapped[str]
    error_type: Mapped[str]
    message: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(default=DeadLetterStatus.QUARANTINED)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    row_rev: Mapped[int] = mapped_column(BigInteger, default=0)

    @property
    def revision(self) -> int:
        """Orders the states that subscribers see; see `models.jobs.Job.revision`."""
        return self.row_rev * 4096
