"""The rows that a transaction touches and that others watch: announced after its commit, never before."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import Job
from models.storages import Storage
from models.sync_configs import SyncConfig

Watched = Job | Storage | SyncConfig


def changes(session: AsyncSession) -> dict[tuple[str, int], Watched]:
    """(topic, id) → the rows that were touched in this session: to be announced after its commit."""
    return session.info.setdefault("job_changes", {})
