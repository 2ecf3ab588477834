"""Where runs go on. A checkpoint is written in the same transaction as the objects that it covers."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from models.objects import Checkpoint
from sluicegate.core.clock import now


async def load(session: AsyncSession, job_id: int) -> dict[str, Any] | None:
    """The run's last checkpoint, or None when it has none."""
    row = await session.get(Checkpoint, job_id)
    return row.state if row else None


async def drop_finished(session: AsyncSession, job_id: int) -> None:
    """The run is through; but where one that ended at its limit is, the next goes on."""
    row = await session.get(Checkpoint, job_id)
    if row is not None and not row.state.get("limited", False):
        await session.delete(row)
        await session.flush()


async def store(session: AsyncSession, job_id: int, state: dict[str, Any]) -> None:
    """Replaces the run's checkpoint."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"state": state, "updated_at": now()}
    statement = insert(Checkpoint).values(job_id=job_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[Checkpoint.job_id], set_=values))
