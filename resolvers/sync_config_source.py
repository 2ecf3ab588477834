"""Where a sync configuration reads and what it takes from there: checked, and looked at before it is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models import project_queries, storage_queries
from models.database import AsyncSession
from models.projects import Project
from models.ranges import KeyRange
from models.storages import Storage
from models.sync_configs import SyncConfig
from resolvers import warnings
from resolvers.access import Viewer
from resolvers.connections import naming
from resolvers.services import Services
from sluicegate.core.errors import ErrorCode, NotFoundError, NotSynchronizableError, RetriableError, RunError
from sluicegate.core.ids import decode_id
from sluicegate.core.text import text_of_key
from sluicegate.providers import registry
from sluicegate.providers.base import ProviderType
from sluicegate.sync.file_filters import FileFilters, base_of_prefix, compile_filters
from sluicegate.sync.filters import Filters
from sluicegate.sync.mapping import check_mapping
from sluicegate.sync.preview import Preview, preview

_SAMPLE_OBJECTS = 1_000  # what S3 lists with one request
_SAMPLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a storage. `range`: the keys under the path; `filters`: what is taken of them."""

    storage: Storage
    range: KeyRange
    filters: Filters


async def read_parents(services: Services, viewer: Viewer, project_id: str, storage_id: str) -> tuple[Project, Storage]:
    """The project and the storage that a new configuration names. Raises InvalidError, NotFoundError, as below."""
    project, storage = decode_id(project_id, "Project", path=("projectId",)), _storage_number(storage_id)
    async with services.database.read(viewer.namespace.id) as session:
        (found_project,) = await project_queries.projects_by_id(session, [project])
        (found_storage,) = await storage_queries.storages_by_id(session, [storage])
    return (
        project_queries.present(found_project, project_id, path=("projectId",)),
        usable(found_storage, storage_id),
    )


async def lock_parents(
    session: AsyncSession, project: Project, storage: Storage, project_id: str, storage_id: str
) -> Storage:
    """The storage, locked after its project: neither is deleted before the transaction ends. Raises as above."""
    project_queries.present(await project_queries.lock_project(session, project.id), project_id, path=("projectId",))
    return usable(await storage_queries.lock_storage(session, storage.id), storage_id)


def usable(storage: Storage | None, global_id: str, *, path: tuple[str, ...] = ("storageId",)) -> Storage:
    """The storage. Raises NotFoundError when there is none or it is archived, and NotSynchronizableError."""
    if storage is None or storage.deleted_at is not None:
        raise NotFoundError(f"No storage has the id {global_id!r}.", path=path)
    if not storage.synchronizable:
        raise NotSynchronizableError(
            "The storage is marked as not synchronizable.", path=path, hint="Set synchronizable: true on it."
        )
    return storage


async def check_source(storage: Storage, project: Project, source_path: str, options: Mapping[str, Any]) -> Source:
    """The source that a path and the rules make. `options`: file_filters, schema_mapping, use_blob_urls of the row.

    Raises InvalidError with the place in the input. Asks the source for nothing.
    """
    spec = registry.spec(ProviderType(storage.type))
    with naming(storage.type):
        low = spec.load().source_range(storage.settings, source_path)
    reads_records = not options["use_blob_urls"]
    filters = await compiled(options["file_filters"], low, reads_records=reads_records)
    if options["schema_mapping"] is not None:
        # Regexes and a JSON Schema are compiled: milliseconds in which others wait.
        await asyncio.to_thread(
            check_mapping,
            options["schema_mapping"],
            spec=spec,
            reads_records=reads_records,
            object_schema=project.object_schema,
        )
    return Source(storage, KeyRange.of_prefix(low), filters)


async def compiled(stored: Mapping[str, Any] | None, low: bytes, *, reads_records: bool) -> Filters:
    """The rules of a configuration; globs are relative to the last folder of `low`. Raises InvalidError."""
    given = FileFilters() if stored is None else FileFilters.from_json(stored)
    return await asyncio.to_thread(
        compile_filters,
        given,
        base=base_of_prefix(text_of_key(low)),
        records_only=reads_records,
        path=("fileFilters",),
    )


async def look_at(
    services: Services, viewer: Viewer, source: Source, source_path: str, *, required: bool = True
) -> list[warnings.Notice]:
    """What of the source will surprise: that it is empty, or that nothing would be taken.

    Raises the provider's RunError: what is not there, or cannot be reached, is no source; unless it is not `required`:
    rules can be mended while the source is away. Raises LimitError.
    """
    try:
        return await _looked_at(services, viewer, source, source_path)
    except RunError:
        if required:
            raise
        return []


async def _looked_at(services: Services, viewer: Viewer, source: Source, source_path: str) -> list[warnings.Notice]:
    with naming(source.storage.type), services.places.take(viewer.namespace.id):
        seen = await _sample(services, source)
        if not seen.listed:
            await _require_folder(services, source.storage, source_path)
    if not seen.listed:
        return [warnings.of_empty_path(source_path)]
    return warnings.of_nothing_imported(seen, tried=True)


async def _sample(services: Services, source: Source) -> Preview:
    """What the rules leave of the first 1,000 objects; of one, where there are no rules."""
    limit = _SAMPLE_OBJECTS if source.filters.rules else 1
    async with services.sync.open_provider(source.storage) as provider:
        try:
            return await preview(
                provider, source.filters, recursive=True, first=0, limit=limit, seconds=_SAMPLE_SECONDS,
                prefix=source.range.low,
            )  # fmt: skip
        except TimeoutError:
            raise RetriableError(
                f"The source did not list anything within {_SAMPLE_SECONDS:.0f} seconds.",
                code=ErrorCode.PROVIDER_UNAVAILABLE,
            ) from None


async def _require_folder(services: Services, storage: Storage, source_path: str) -> None:
    """A folder that is not there lists as an empty one; as the path of a storage of its own it is missed.

    S3 knows no folders, only keys: there an empty prefix is as good as one that never was.
    """
    if storage.type != ProviderType.LOCAL:
        return
    package = registry.spec(ProviderType.LOCAL).load()
    context = await services.sync.context(storage.namespace_id, storage)
    settings = package.parse({**storage.settings, "path": source_path}, context=context)
    async with package.open_provider(settings, context) as provider:
        await preview(provider, Filters(()), recursive=False, first=0, limit=1, seconds=_SAMPLE_SECONDS)


def overlaps(
    source: Source, storages: Sequence[Storage], configs: Sequence[SyncConfig], names: Mapping[int, Storage]
) -> list[warnings.Notice]:
    """A warning for each kind of other sources of the project that read some of the same objects.

    `names`: the storages of `configs` by id. Its own storage counts only when it is synced by itself too.
    """
    own = source.storage
    mine = warnings.place_of(own, source.range)
    others = [each for each in storages if each.id != own.id or each.last_sync_job_id is not None]
    doubled = [each for each in others if warnings.meet(mine, warnings.place_of(each))]
    shared = [each for each in configs if warnings.meet(mine, warnings.place_of(names[each.storage_id], each.range))]
    return warnings.of_shared_sources(doubled, shared)


def _storage_number(global_id: str) -> int:
    return decode_id(global_id, "Storage", path=("storageId",))
