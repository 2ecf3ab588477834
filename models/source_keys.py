"""The keys that wait to be looked at by themselves, and what the catalogue knows of them. Plain SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.plain_sql import execute_many, fetch, time_mark
from models.source_events import SourceEvent
from sluicegate.core.clock import to_micros


async def waiting(
    session: AsyncSession, storage_id: int, sync_config_id: int, limit: int
) -> Sequence[tuple[bytes, datetime]]:
    """(key, when it was told of last) of the first `limit` keys, by key."""
    found = await session.execute(
        select(SourceEvent.source_key, SourceEvent.created_at)
        .where(SourceEvent.storage_id == storage_id, SourceEvent.sync_config_id == sync_config_id)
        .order_by(SourceEvent.source_key)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in found]


async def done(
    session: AsyncSession, storage_id: int, sync_config_id: int, keys: Sequence[tuple[bytes, datetime]]
) -> None:
    """Forgets keys that were looked at, but not those that were told of once more since."""
    await execute_many(
        session,
        "DELETE FROM source_event WHERE storage_id = ? AND sync_config_id = ? AND source_key = ?"
        f" AND created_at <= {time_mark(session)}",
        [(storage_id, sync_config_id, key, to_micros(told_at)) for key, told_at in keys],
    )


async def drop_old(session: AsyncSession, storage_id: int, sync_config_id: int, before: datetime) -> None:
    """Forgets the keys that were told of last before then: a listing that began at that time has seen them."""
    await session.execute(
        delete(SourceEvent)
        .where(
            SourceEvent.storage_id == storage_id,
            SourceEvent.sync_config_id == sync_config_id,
            SourceEvent.created_at < before,
        )
        .execution_options(synchronize_session=False)
    )


async def known_sources(
    session: AsyncSession, project_id: int, storage_id: int, keys: Sequence[bytes]
) -> list[tuple[bytes, str, int, int]]:
    """As `catalogue.known_sources`, of these files (at most 1,000), by key; those too that no READ run knows yet."""
    if not keys:
        return []
    marks = ", ".join("?" * len(keys))
    found: list[tuple[bytes, str, int, int]] = await fetch(
        session,
        "SELECT source_key, fingerprint, rows, failed_rows FROM source_file WHERE project_id = ? AND storage_id = ?"
        f" AND source_key IN ({marks})",
        (project_id, storage_id, *keys),
    )
    recorded = await fetch(
        session,
        "SELECT source_key FROM synced_object WHERE project_id = ? AND storage_id = ? AND row = 0"
        f" AND status IN ('SYNCED', 'STAGED') AND source_key IN ({marks})",
        (project_id, storage_id, *keys),
    )
    read = {source[0] for source in found}
    return sorted([*found, *((key, "", 1, 0) for (key,) in recorded if key not in read)])
