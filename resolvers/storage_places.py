"""Pointing a storage elsewhere: what that means for what it has, and for the configurations that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models import config_transitions, object_queries, storage_queries, sync_config_queries
from models.database import AsyncSession
from models.ranges import KeyRange
from models.storages import Storage
from models.sync_configs import SyncConfig
from resolvers.connections import Connection
from sluicegate.core.errors import ConflictError, InvalidError
from sluicegate.providers import registry
from sluicegate.providers.base import ProviderType
from sluicegate.providers.parsing import camel

_PLACE = {ProviderType.S3: ("bucket", "prefix", "s3_endpoint"), ProviderType.LOCAL: ("path",)}


async def guard_place(
    session: AsyncSession, storage: Storage, opened: Connection | None, columns: Mapping[str, Any], *, confirmed: bool
) -> None:
    """Refuses to point a storage elsewhere unknowingly: the next syncs would mark all that it has as missing.

    Configurations follow it: their paths must lie within it still. Raises ConflictError.
    """
    moved = "projectId" if columns.get("project_id", storage.project_id) != storage.project_id else None
    path: tuple[str, ...] = ("projectId",)
    elsewhere: Connection | None = None
    for name in _PLACE[ProviderType(storage.type)] if opened is not None else ():
        assert opened is not None
        if (opened.plain.get(name) or None) != (storage.settings.get(name) or None):
            moved, path, elsewhere = camel(name), ("provider", opened.kind.value.lower(), camel(name)), opened
    if moved is None:
        return
    if await storage_queries.has_unfinished_jobs(session, storage.id):
        raise ConflictError(f"{moved} cannot change while a sync waits or runs: cancel it first.", path=path)
    numbers = [] if elsewhere is None else await sync_config_queries.configs_of_storage(session, storage.id)
    locked = [await config_transitions.lock(session, number) for number in numbers]
    configs = [config for config in locked if config is not None]
    projects = {storage.project_id, *(config.project_id for config in configs)}
    if not confirmed and any([await object_queries.has_objects(session, storage.id, each) for each in projects]):
        raise ConflictError(
            f"The storage has objects from where {moved} leads now; the next sync would not find them there.",
            path=path,
            hint="Give confirmRescan: true if that is wanted, or create another storage.",
        )
    for config in configs:
        assert elsewhere is not None
        await _follow(session, config, elsewhere, path)


async def _follow(session: AsyncSession, config: SyncConfig, opened: Connection, path: tuple[str, ...]) -> None:
    """Gives a configuration the keys that its path means in the new place; its next run judges what it had."""
    try:
        low = registry.spec(opened.kind).load().source_range(opened.plain, config.source_path)
    except InvalidError as error:
        raise ConflictError(
            f"The sync configuration {config.name or config.source_path!r} would read outside of the storage:"
            f" {error.message}",
            path=path,
            hint="Archive or delete it first, or create another storage.",
        ) from None
    columns: dict[str, Any] = {"listed_at": None}
    if low != config.range_low:
        keys = KeyRange.of_prefix(low)
        columns |= {
            "range_low": keys.low, "range_high": keys.high,
            "rescan": config.rescan or await sync_config_queries.has_objects(session, config),
        }  # fmt: skip
    await config_transitions.edit(session, config.id, **columns)
