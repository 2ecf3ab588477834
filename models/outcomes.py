"""What became of single records in a run. Unchanged and filtered ones are counted, not stored."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, row_id


class OutcomeKind(StrEnum):
    """What a run did with a record."""

    ADDED = "ADDED"
    UPDATED = "UPDATED"
    FAILED = "FAILED"
    MISSING = "MISSING"


class Outcome(Base):
    """One record of one run. The additions of a first sync are not here: the objects themselves tell of them."""

    __tablename__ = "outcome"
    __table_args__ = (Index(None, "job_id", "id"), TABLE_ARGS)

    id: Mapped[int] = row_id()
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    path: Mapped[str]
    row: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str]
    message: Mapped[str | None]
    at: Mapped[datetime]
