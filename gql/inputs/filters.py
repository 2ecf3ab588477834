"""What lists are filtered and sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from gql.inputs.conditions import (
    BigIntFilter,
    DateTimeFilter,
    FloatFilter,
    IntFilter,
    StringFilter,
    between,
    text_match,
    texts,
)
from gql.types.enums import JobStatus, Modality, ObjectStatus, ProviderType, SyncStatus
from gql.types.sync_enums import SyncConfigStatus, SyncMode
from models.job_queries import JobCriteria
from models.object_queries import ObjectCriteria
from models.storage_queries import StorageCriteria
from models.sync_config_queries import SyncConfigCriteria
from resolvers.checks import check_list
from sluicegate.core.ids import split_id


@strawberry.input(description="Which storages. All that is given must hold.")
class StorageFilter:
    """Of storages."""

    type: list[ProviderType] | None = strawberry.field(default=None, description="One of these kinds.")
    status: list[SyncStatus] | None = strawberry.field(default=None, description="One of these states.")
    title: StringFilter | None = strawberry.field(default=None, description="By title.")
    created_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it was made.")


@strawberry.input(description="Which jobs. All that is given must hold.")
class JobFilter:
    """Of jobs."""

    id: list[strawberry.ID] | None = strawberry.field(default=None, description="One of these ids, at most 1,000.")
    job_class: list[str] | None = strawberry.field(default=None, description="One of these classes.")
    status: list[JobStatus] | None = strawberry.field(default=None, description="One of these states.")
    priority: IntFilter | None = strawberry.field(default=None, description="By priority.")
    progress: FloatFilter | None = strawberry.field(
        default=None, description="By progress, 0 to 1; null meets no condition."
    )
    retry_count: IntFilter | None = strawberry.field(default=None, description="By the number of retries.")
    error: StringFilter | None = strawberry.field(default=None, description="By the error's message.")
    unicity: list[str] | None = strawberry.field(default=None, description="One of these unicities.")
    scheduled_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it was asked to start.")
    created_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it was asked for.")
    updated_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it last changed.")
    storage_id: strawberry.ID | None = strawberry.field(default=None, description="Of this storage.")
    sync_config_id: strawberry.ID | None = strawberry.field(default=None, description="Of this configuration.")
    project_id: strawberry.ID | None = strawberry.field(default=None, description="Of this project.")


@strawberry.input(description="Which configurations. All that is given must hold.")
class SyncConfigFilter:
    """Of sync configurations."""

    storage_id: strawberry.ID | None = strawberry.field(default=None, description="Those that read this storage.")
    mode: list[SyncMode] | None = strawberry.field(default=None, description="One of these modes.")
    status: list[SyncConfigStatus] | None = strawberry.field(
        default=None, description="One of these states; archived ones are listed only when ARCHIVED is among them."
    )
    is_active: bool | None = strawberry.field(
        default=None, description="Whether it runs, or will by itself: PENDING, ACTIVE, IN_PROGRESS."
    )
    created_at: DateTimeFilter | None = strawberry.field(default=None, description="By when it was made.")


@strawberry.input(description="Which objects. All that is given must hold.")
class SyncedObjectFilter:
    """Of objects."""

    storage_id: list[strawberry.ID] | None = strawberry.field(default=None, description="From one of these storages.")
    sync_config_id: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Last written by one of these configurations."
    )
    status: list[ObjectStatus] | None = strawberry.field(
        default=None, description="One of these states; STAGED objects are listed only when STAGED is among them."
    )
    modality: list[Modality] | None = strawberry.field(default=None, description="One of these modalities.")
    mime_type: list[str] | None = strawberry.field(default=None, description="One of these MIME types.")
    path: StringFilter | None = strawberry.field(default=None, description="By path.")
    size_bytes: BigIntFilter | None = strawberry.field(
        default=None, description="By size in bytes; null meets no condition."
    )
    source_modified_at: DateTimeFilter | None = strawberry.field(
        default=None, description="By when the source changed it."
    )
    synced_at: DateTimeFilter | None = strawberry.field(default=None, description="By when a sync last wrote it.")


_FILTERED = strawberry.argument(description="Only those that meet all of this.")
StorageFilterArgument = Annotated[StorageFilter | None, _FILTERED]
JobFilterArgument = Annotated[JobFilter | None, _FILTERED]
SyncConfigFilterArgument = Annotated[SyncConfigFilter | None, _FILTERED]
SyncedObjectFilterArgument = Annotated[SyncedObjectFilter | None, _FILTERED]


def storage_criteria(given: StorageFilter | None) -> StorageCriteria:
    """Which storages a filter means."""
    if given is None:
        return StorageCriteria()
    return StorageCriteria(
        type=texts(given.type, "filter", "type"),
        status=texts(given.status, "filter", "status"),
        title=text_match(given.title, "title"),
        created_at=between(given.created_at, "createdAt"),
    )


def job_criteria(given: JobFilter | None) -> JobCriteria:
    """Which jobs a filter means."""
    if given is None:
        return JobCriteria()
    return JobCriteria(
        id=numbers(given.id, "Job", "id"),
        job_class=texts(given.job_class, "filter", "jobClass"),
        status=texts(given.status, "filter", "status"),
        priority=between(given.priority, "priority"),
        progress=between(given.progress, "progress"),
        retry_count=between(given.retry_count, "retryCount"),
        error=text_match(given.error, "error"),
        unicity=texts(given.unicity, "filter", "unicity"),
        scheduled_at=between(given.scheduled_at, "scheduledAt"),
        created_at=between(given.created_at, "createdAt"),
        updated_at=between(given.updated_at, "updatedAt"),
        storage_id=_number(given.storage_id, "Storage", "storageId"),
        project_id=_number(given.project_id, "Project", "projectId"),
        sync_config_id=_number(given.sync_config_id, "SyncConfig", "syncConfigId"),
    )


def sync_config_criteria(given: SyncConfigFilter | None) -> SyncConfigCriteria:
    """Which sync configurations a filter means."""
    if given is None:
        return SyncConfigCriteria()
    return SyncConfigCriteria(
        storage_id=_number(given.storage_id, "Storage", "storageId"),
        mode=texts(given.mode, "filter", "mode"),
        status=texts(given.status, "filter", "status"),
        is_active=given.is_active,
        created_at=between(given.created_at, "createdAt"),
    )


def object_criteria(given: SyncedObjectFilter | None) -> ObjectCriteria:
    """Which objects a filter means."""
    if given is None:
        return ObjectCriteria()
    return ObjectCriteria(
        storage_id=numbers(given.storage_id, "Storage", "storageId"),
        sync_config_id=numbers(given.sync_config_id, "SyncConfig", "syncConfigId"),
        status=texts(given.status, "filter", "status"),
        modality=texts(given.modality, "filter", "modality"),
        mime_type=texts(given.mime_type, "filter", "mimeType"),
        path=text_match(given.path, "path"),
        size_bytes=between(given.size_bytes, "sizeBytes"),
        source_modified_at=between(given.source_modified_at, "sourceModifiedAt"),
        synced_at=between(given.synced_at, "syncedAt"),
    )


def numbers(given: Sequence[Any] | None, kind: str, name: str) -> tuple[int, ...] | None:
    """The row numbers of global ids. An id of nothing simply matches nothing, as another tenant's does."""
    if given is None:
        return None
    found = [split_id(str(value)) for value in check_list(given, ("filter", name))]
    return tuple(number for kind_and_number in found if kind_and_number and kind_and_number[0] == kind
                 for number in kind_and_number[1:])  # fmt: skip


def _number(given: str | None, kind: str, name: str) -> tuple[int, ...] | None:
    return None if given is None else numbers([given], kind, name)
