"""Looking at a source without syncing it: whether it works, and what a sync would take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.storages import Storage
from models.sync_configs import SyncConfig
from resolvers import checks, sync_config_source, warnings
from resolvers.access import Viewer
from resolvers.connections import Connection, connection, naming, run_checks, stored_secrets
from resolvers.services import Services
from resolvers.storages import find_storage
from resolvers.sync_configs import find_sync_config
from sluicegate.core.errors import ErrorCode, InvalidError, RetriableError
from sluicegate.providers.base import Check, CheckStatus, ProviderType
from sluicegate.sync.file_filters import FileFilters, base_of_prefix, compile_filters
from sluicegate.sync.filters import Filters
from sluicegate.sync.plan import filters_of_storage
from sluicegate.sync.preview import MAX_SECONDS, Preview, preview

MAX_PREVIEW = 1_000


@dataclass(frozen=True, slots=True)
class Validation:
    """What the steps of a validation found."""

    checks: list[Check]
    warnings: list[warnings.Notice]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(check.status is not CheckStatus.FAILED for check in self.checks)


@dataclass(frozen=True, slots=True)
class StoragePreview:
    """What a sync would take, and why that is nothing where it is."""

    found: Preview
    warnings: list[warnings.Notice]


async def validate_storage(
    services: Services,
    viewer: Viewer,
    *,
    global_id: str | None,
    kind: ProviderType | None,
    settings: Mapping[str, Any],
    write: bool,
) -> Validation:
    """Tries a stored connection, or one that is not stored. `write`: also writes and deletes a probe.

    Raises InvalidError, NotFoundError, LimitError.
    """
    if (global_id is None) == (kind is None):
        raise InvalidError("Give id or provider, one of them.", path=("provider",))
    opened = (
        await _stored(services, viewer, global_id)
        if global_id is not None
        else await connection(services, viewer, ProviderType(kind), settings)
    )
    with services.places.take(viewer.namespace.id):
        found = await run_checks(opened, write=write)
    return Validation(found, warnings.of_checks(found, ("provider", opened.kind.value.lower())))


async def preview_storage(
    services: Services,
    viewer: Viewer,
    global_id: str,
    first: int,
    *,
    file_filters: FileFilters | None = None,
    sync_config_id: str | None = None,
) -> StoragePreview:
    """What a sync would take, by `file_filters` where given and else by the storage's own.

    `sync_config_id`: of a configuration of the storage, by its path, its filters and its mode instead. Raises
    InvalidError, NotFoundError, LimitError and the provider's RunError.
    """
    checks.check_between(first, 0, MAX_PREVIEW, ("first",))
    storage = await find_storage(services, viewer, global_id)
    config = None if sync_config_id is None else await _config_of(services, viewer, storage, sync_config_id)
    filters = await _filters(storage, config, file_filters)
    prefix, recursive = (b"", storage.recursive_scan) if config is None else (config.range_low, True)
    with naming(storage.type), services.places.take(viewer.namespace.id):
        async with services.sync.open_provider(storage) as provider:
            try:
                found = await preview(provider, filters, recursive=recursive, first=first, prefix=prefix)
            except TimeoutError:
                raise RetriableError(
                    f"The source did not list anything within {MAX_SECONDS:.0f} seconds.",
                    code=ErrorCode.PROVIDER_UNAVAILABLE,
                ) from None
    if not found.listed:
        empty = warnings.of_nothing_listed(storage) if config is None else warnings.of_empty_path(config.source_path)
        return StoragePreview(found, [empty])
    tried = file_filters is not None or config is not None
    return StoragePreview(found, warnings.of_nothing_imported(found, tried=tried))


async def _config_of(services: Services, viewer: Viewer, storage: Storage, global_id: str) -> SyncConfig:
    path = ("syncConfigId",)
    config = await find_sync_config(services, viewer, global_id, path=path)
    if config.storage_id != storage.id:
        raise InvalidError("This configuration reads another storage.", path=path)
    return config


async def _filters(storage: Storage, config: SyncConfig | None, given: FileFilters | None) -> Filters:
    if config is not None:
        stored = config.file_filters if given is None else given.to_json()
        return await sync_config_source.compiled(stored, config.range_low, reads_records=not config.use_blob_urls)
    if given is None:
        return filters_of_storage(storage)
    return await asyncio.to_thread(
        compile_filters,
        given,
        base=base_of_prefix(storage.settings.get("prefix", "")),
        records_only=not storage.use_blob_urls,
        path=("fileFilters",),
    )


async def _stored(services: Services, viewer: Viewer, global_id: str) -> Connection:
    storage = await find_storage(services, viewer, global_id)
    values = {**storage.settings, **stored_secrets(services, storage)}
    return await connection(services, viewer, ProviderType(storage.type), values)
