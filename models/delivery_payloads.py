"""What messages to webhooks tell of, looked up when they are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from models.objects import SyncedObject
from models.sync_configs import SyncConfig


class BatchObject(NamedTuple):
    """One object of a batch as it is now."""

    id: int
    path: str
    row: int
    status: str


async def batch_objects(session: AsyncSession, config_id: int, items: Sequence[Sequence[Any]]) -> list[BatchObject]:
    """The objects that a batch's `items` ([[key in hex, row], …]) name, in their order, without those that are gone."""
    config = await session.get(SyncConfig, config_id)
    if config is None:
        return []
    places = [(bytes.fromhex(key), int(row)) for key, row in items]
    found = await session.execute(
        select(
            SyncedObject.source_key, SyncedObject.row, SyncedObject.id, SyncedObject.path, SyncedObject.status
        ).where(
            SyncedObject.project_id == config.project_id,
            SyncedObject.storage_id == config.storage_id,
            tuple_(SyncedObject.source_key, SyncedObject.row).in_(places),
        )
    )
    objects = {(key, row): BatchObject(number, path, row, status) for key, row, number, path, status in found}
    return [objects[place] for place in places if place in objects]
