"""What one run does, whether it is of a storage or of a sync configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.ranges import EVERYTHING, KeyRange
from models.storages import Storage
from models.sync_configs import OnDelete, OnUpdate, SyncConfig
from sluicegate.core.text import text_of_key
from sluicegate.sync.file_filters import FileFilters, base_of_prefix, compile_filters
from sluicegate.sync.filters import RECORDS_RULE, Filters, regex_rule
from sluicegate.sync.listing_prefix import literal_prefix
from sluicegate.sync.mapping import Mapper, compile_mapping


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """One run's orders.

    `digest`: changes when a checkpoint of the plan is of no use any more. `range`: the keys that it covers; `prefix`:
    what all keys start with that can pass the filters. `read`: the files' records become objects; else a file is an
    object. `full_sync`: what is known counts as changed. `mapping_digest`: of `mapper`, None without one;
    `remapped`: what is known is of another. `skip_duplicates`: content that the project has under another identity is
    left out. `max_objects`: added, updated and failed ones after which a run ends. `chunk_size`: objects whose details
    are fetched together. `only_keys`: the keys noted in `source_event`, not a listing. `rescan`: what the configuration
    wrote outside of the range is judged as missing. `max_missing_fraction`: of more than MISSING_GUARD_MINIMUM records;
    `checkpoint_frequency`: objects.
    """

    namespace_id: int
    project_id: int
    storage_id: int
    recursive: bool
    read: bool
    filters: Filters
    digest: str
    sync_config_id: int | None = None
    range: KeyRange = EVERYTHING
    prefix: bytes = b""
    mapper: Mapper | None = None
    mapping_digest: str | None = None
    remapped: bool = False
    on_update: str = OnUpdate.REPLACE
    on_delete: str = OnDelete.MARK
    skip_duplicates: bool = False
    max_objects: int | None = None
    require_confirmation: bool = False
    batch_size: int = 50
    batches: bool = False
    chunk_size: int = 100
    resume: bool = True
    rescan: bool = False
    only_keys: bool = False
    full_sync: bool = False
    dry_run: bool = False
    allow_mass_missing: bool = False
    max_missing_fraction: float = 0.5
    checkpoint_frequency: int = 1_000

    @property
    def asks(self) -> bool:
        """Whether objects need requests of their own, or may: what is known of them does not come with the listing."""
        mapper = self.mapper
        return self.skip_duplicates or (mapper is not None and (mapper.needs_tags or mapper.needs_metadata))


MISSING_GUARD_MINIMUM = 100


def plan_of_storage(storage: Storage, payload: Mapping[str, Any]) -> SyncPlan:
    """The plan of a storage's own sync. Raises InvalidError for a regex that does not compile."""
    full_sync, only_keys = bool(payload.get("fullSync")), bool(payload.get("onlyKeys"))
    parts = [storage.regex_filter, storage.recursive_scan, not storage.use_blob_urls, only_keys]
    return SyncPlan(
        namespace_id=storage.namespace_id,
        project_id=storage.project_id,
        storage_id=storage.id,
        recursive=storage.recursive_scan,
        read=not storage.use_blob_urls,
        filters=filters_of_storage(storage),
        digest=_digest(storage, parts, full_sync=full_sync),
        only_keys=only_keys,
        full_sync=full_sync,
        dry_run=bool(payload.get("dryRun")),
        allow_mass_missing=bool(payload.get("allowMassMissing")),
    )


def plan_of_config(
    config: SyncConfig, storage: Storage, payload: Mapping[str, Any], *, object_schema: Any = None
) -> SyncPlan:
    """The plan of a configuration's run. `object_schema`: the project's.

    Raises InvalidError for filters and mappings that cannot be run, as where the project's schema has changed.
    """
    keys, base = config.range, base_of_prefix(text_of_key(config.range_low))
    given = FileFilters.from_json(config.file_filters or {})
    mapper, digest = None, None
    if config.schema_mapping is not None:
        mapper = compile_mapping(config.schema_mapping, base=base, object_schema=object_schema)
        digest = _hash([config.schema_mapping, object_schema])
    full_sync = bool(payload.get("fullSync"))
    parts = [
        config.id, config.project_id, [keys.low.hex(), keys.high and keys.high.hex()], given.to_json(), digest,
        config.use_blob_urls, config.on_update, config.on_delete, config.skip_duplicates,
        config.require_confirmation, config.rescan, bool(payload.get("onlyKeys")),
    ]  # fmt: skip
    return SyncPlan(
        namespace_id=config.namespace_id,
        project_id=config.project_id,
        storage_id=storage.id,
        recursive=True,
        read=not config.use_blob_urls,
        filters=compile_filters(given, base=base, records_only=not config.use_blob_urls, path=("fileFilters",)),
        digest=_digest(storage, parts, full_sync=full_sync),
        sync_config_id=config.id,
        range=keys,
        prefix=_prefix(keys, given, base),
        mapper=mapper,
        mapping_digest=digest,
        remapped=digest != config.mapping_digest,
        on_update=config.on_update,
        on_delete=config.on_delete,
        skip_duplicates=config.skip_duplicates,
        max_objects=config.max_objects_per_run,
        require_confirmation=config.require_confirmation,
        batch_size=config.batch_size,
        batches=not config.skip_batch_submission,
        chunk_size=config.batch_chunk_size,
        resume=config.resume_enabled,
        rescan=config.rescan,
        only_keys=bool(payload.get("onlyKeys")),
        max_missing_fraction=config.max_missing_fraction,
        checkpoint_frequency=config.checkpoint_frequency,
        # What was made by another mapping is to be made again.
        full_sync=full_sync or digest != config.mapping_digest,
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


def _prefix(keys: KeyRange, given: FileFilters, base: str) -> bytes:
    found = literal_prefix(given, base).encode()
    return found if found.startswith(keys.low) else keys.low


def _digest(storage: Storage, parts: list[Any], *, full_sync: bool) -> str:
    return _hash([storage.type, storage.project_id, storage.settings, full_sync, *parts])


def _hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
