"""What one run does, free of where it came from: a storage today, a sync configuration in the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.storages import Storage
from sluicegate.sync.filters import RECORDS_RULE, Filters, regex_rule


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """One run's orders.

    `read`: the files' records become objects; else a file is an object. `max_missing_fraction`: of more than
    MISSING_GUARD_MINIMUM records; `checkpoint_frequency`: objects.
    """

    namespace_id: int
    project_id: int
    storage_id: int
    recursive: bool
    read: bool
    filters: Filters
    full_sync: bool = False
    dry_run: bool = False
    allow_mass_missing: bool = False
    max_missing_fraction: float = 0.5
    checkpoint_frequency: int = 1_000


MISSING_GUARD_MINIMUM = 100


def plan_of_storage(storage: Storage, payload: Mapping[str, Any]) -> SyncPlan:
    """The plan of a storage's own sync. Raises InvalidError for a regex that does not compile."""
    return SyncPlan(
        namespace_id=storage.namespace_id,
        project_id=storage.project_id,
        storage_id=storage.id,
        recursive=storage.recursive_scan,
        read=not storage.use_blob_urls,
        filters=filters_of_storage(storage),
        full_sync=bool(payload.get("fullSync")),
        dry_run=bool(payload.get("dryRun")),
        allow_mass_missing=bool(payload.get("allowMassMissing")),
    )


def filters_of_storage(storage: Storage) -> Filters:
    """The rules that a storage has fields for."""
    return filters_of(storage.regex_filter, use_blob_urls=storage.use_blob_urls)


def filters_of(regex_filter: str | None, *, use_blob_urls: bool) -> Filters:
    """The rules that these options of a storage make. Raises InvalidError for a regex that does not compile."""
    rules = [regex_rule(regex_filter)] if regex_filter else []
    return Filters((*rules, *(() if use_blob_urls else (RECORDS_RULE,))))
