"""Keys that a run is to look at by themselves: the source told of a change, or someone wants them tried again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, created_at

NO_CONFIG = 0
"""The `sync_config_id` of a storage's own sync."""


class SourceEvent(Base):
    """One key to look at. However often it is told of, it is looked at once. A run deletes it with what it wrote."""

    __tablename__ = "source_event"

    storage_id: Mapped[int] = mapped_column(ForeignKey("storage.id"), primary_key=True, autoincrement=False)
    sync_config_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    source_key: Mapped[bytes] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = created_at()
