"""Storages: an interface, and a type for each provider with the settings that are its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.inputs.filters import JobFilterArgument, job_criteria
from gql.pagination import After, Connection, First, nested
from gql.scalars import JSON, BigInt
from gql.types.enums import ProviderType, SyncStatus
from gql.types.jobs import Job, SyncJob, job_of
from gql.types.node import Node, RowView
from models import job_queries, sync_config_queries
from models.pagination import PageRequest

if TYPE_CHECKING:
    from gql.types.projects import Project
    from gql.types.sync_configs import SyncConfig
    from models.storages import Storage as StorageRow


@strawberry.interface(description="A connection to a source, with what a sync of it imports and how the last one went.")
class Storage(RowView, Node):
    """Any storage's row."""

    row_kind: ClassVar[str] = "Storage"

    type: ProviderType = strawberry.field(description="What kind of source it connects to.")
    title: str = strawberry.field(description="For people; at most 256 characters.")
    description: str = strawberry.field(description="For people.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When its row last changed.")
    synchronizable: bool = strawberry.field(description="Whether it may be synced.")
    credentials_set: list[str] = strawberry.field(
        description="Names of the secrets that are set; their values never come out."
    )
    deleted_at: datetime | None = strawberry.field(
        description="When it was deleted: credentials erased, hidden from lists, still found from its objects and jobs."
    )
    status: SyncStatus = strawberry.field(description="The state of its last sync.")
    last_sync: datetime | None = strawberry.field(description="When its last sync ended, whatever the result.")
    last_sync_count: BigInt | None = strawberry.field(description="How many objects its last sync added or updated.")
    traceback: str | None = strawberry.field(
        description="What went wrong in the last failed sync, at most 8 KiB, without secrets; null after a success."
    )
    meta: JSON = strawberry.field(description="Counts of the last sync, its duration and rate-limit hits.")
    revision: BigInt = strawberry.field(description="Grows with every change: order and de-duplicate by it.")
    regex_filter: str | None = strawberry.field(
        description="Only keys that this RE2 pattern matches from their start are imported; null is every key."
    )
    recursive_scan: bool = strawberry.field(description="Whether folders below the first level are synced too.")
    use_blob_urls: bool = strawberry.field(
        description="true: an object is a file, linked to. false: files of JSON are read, an object is a record."
    )
    presign: bool = strawberry.field(
        description="Whether links go straight to the provider, signed; else through the gateway."
    )
    presign_ttl: int = strawberry.field(description="Minutes that a link works: 1 to 32,767.")
    max_requests_per_second: float | None = strawberry.field(
        description="Ceiling of every run over this storage; null is none."
    )
    max_bytes_per_second: BigInt | None = strawberry.field(
        description="Ceiling of every run over this storage; null is none."
    )

    @strawberry.field(description="The dataset that it fills.")
    async def project(self, info: Info) -> Annotated[Project, strawberry.lazy("gql.types.projects")]:
        """The project."""
        from gql.types.projects import Project as ProjectType

        return ProjectType.of(await info.context.loaders.projects.load(self.row.project_id))

    @strawberry.field(description="The job of its last sync; while one waits or runs, that one.")
    async def last_sync_job(self, info: Info) -> SyncJob | None:
        """The last sync's job; None before the first, and after its retention."""
        if self.row.last_sync_job_id is None:
            return None
        row = await info.context.loaders.jobs.load(self.row.last_sync_job_id)
        return None if row is None else SyncJob.of(row)

    @strawberry.field(description="The sync configurations that read it, oldest first; without archived ones.")
    async def sync_configs(
        self, info: Info, first: First = None, after: After = None
    ) -> Connection[Annotated[SyncConfig, strawberry.lazy("gql.types.sync_configs")]]:
        """A page of the configurations that read it."""
        from gql.types.sync_configs import sync_config_of

        request = PageRequest(first, after)
        return await nested(
            info.context.loaders,
            self.row.id,
            "storage.syncConfigs",
            request,
            sync_config_of,
            partial(sync_config_queries.sync_configs_of_storages, request=request),
            sync_config_queries.count_sync_configs_of_storages,
        )

    @strawberry.field(description="Its jobs, newest first.")
    async def jobs(
        self, info: Info, first: First = None, after: After = None, filter: JobFilterArgument = None
    ) -> Connection[Job]:
        """A page of its jobs."""
        request, criteria = PageRequest(first, after), job_criteria(filter)
        return await nested(
            info.context.loaders,
            self.row.id,
            "storage.jobs",
            (request, criteria),
            job_of,
            partial(job_queries.jobs_of_storages, request=request, criteria=criteria),
            partial(job_queries.count_jobs_of_storages, criteria=criteria),
        )


def _setting(name: str, default: Any = None) -> Callable[[StorageRow], Any]:
    return lambda row: row.settings.get(name, default)


@strawberry.type(description="A bucket of Amazon S3, or of a server that speaks its protocol.")
class S3Storage(Storage):
    """An S3 storage."""

    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "bucket": _setting("bucket"),
        "prefix": _setting("prefix", ""),
        "region_name": _setting("region_name"),
        "s3_endpoint": _setting("s3_endpoint"),
        "role_arn": _setting("role_arn"),
        "external_id": _setting("external_id"),
        "aws_sse_kms_key_id": _setting("aws_sse_kms_key_id"),
        "event_queue_url": _setting("event_queue_url"),
    }

    bucket: str = strawberry.field(description="The bucket's name.")
    prefix: str = strawberry.field(description="Only keys that start with this; any text, not only a folder.")
    region_name: str | None = strawberry.field(description="The bucket's region, e.g. eu-central-1.")
    s3_endpoint: str | None = strawberry.field(description="The server's address where it is not Amazon's.")
    role_arn: str | None = strawberry.field(description="The role that is assumed.")
    external_id: str | None = strawberry.field(description="What the role's trust policy asks for.")
    aws_sse_kms_key_id: str | None = strawberry.field(
        description="The KMS key that the bucket's objects are encrypted with."
    )
    event_queue_url: str | None = strawberry.field(
        description="The SQS queue that the bucket's event notifications go to; continuous configurations consume it."
    )


@strawberry.type(description="A folder of the gateway's own machine.")
class LocalStorage(Storage):
    """A local storage."""

    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"path": _setting("path")}

    path: str = strawberry.field(description="The folder, relative to the one that the operator gave to the namespace.")


_TYPES: dict[str, type[Storage]] = {ProviderType.S3: S3Storage, ProviderType.LOCAL: LocalStorage}


def storage_of(row: StorageRow | None) -> Storage:
    """The public type of a storage's row. The row must be there: storages are archived, not removed."""
    assert row is not None
    return _TYPES[row.type].of(row)
