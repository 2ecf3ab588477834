"""Datasets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from models.base import TABLE_ARGS, Base, Scoped, created_at, row_id
from sluicegate.core.clock import now


class Project(Scoped, Base):
    """What storages fill and exports read. `object_schema`: a JSON Schema of the fields."""

    __tablename__ = "project"
    __table_args__ = (Index(None, "namespace_id", "id"), TABLE_ARGS)

    id: Mapped[int] = row_id()
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    object_schema: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = created_at()
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]
