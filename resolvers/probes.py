"""Looking at a source without syncing it: whether it works, and what a sync would take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.storages import Storage
from resolvers import checks, warnings
from resolvers.access import Viewer
from resolvers.connections import Connection, connection, naming, run_checks, stored_secrets
from resolvers.services import Services
from resolvers.storages import find_storage
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
    services: Services, viewer: Viewer, global_id: str, first: int, *, file_filters: FileFilters | None = None
) -> StoragePreview:
    """What a sync would take, by `file_filters` where given and else by the storage's own.

    Raises InvalidError, NotFoundError, LimitError and the provider's RunError.
    """
    checks.check_between(first, 0, MAX_PREVIEW, ("first",))
    storage = await find_storage(services, viewer, global_id)
    filters = filters_of_storage(storage) if file_filters is None else await _tried(storage, file_filters)
    with naming(storage.type), services.places.take(viewer.namespace.id):
        async with services.sync.open_provider(storage) as provider:
            try:
                found = await preview(provider, filters, recursive=storage.recursive_scan, first=first)
            except TimeoutError:
                raise RetriableError(
                    f"The source did not list anything within {MAX_SECONDS:.0f} seconds.",
                    code=ErrorCode.PROVIDER_UNAVAILABLE,
                ) from None
    if not found.listed:
        return StoragePreview(found, [warnings.of_nothing_listed(storage)])
    return StoragePreview(found, warnings.of_nothing_imported(found, tried=file_filters is not None))


async def _tried(storage: Storage, given: FileFilters) -> Filters:
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
