"""What syncs have found: the objects of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.scalars import JSON, BigInt
from gql.types.enums import BlobType, Modality, ObjectStatus
from gql.types.node import Node, RowView, optional
from gql.types.storages import Storage, storage_of
from gql.types.sync_configs import SyncConfig, sync_config_of
from resolvers.objects import object_uri
from sluicegate.core.text import text_of_key
from sluicegate.sync.mapping_blobs import DEFAULT_NAME, mime_of_url

if TYPE_CHECKING:
    from gql.types.projects import Project


@strawberry.type(description="A file that belongs to an object.")
class Blob:
    """One blob of an object. `place`: where it is, when it is not the source file."""

    row: strawberry.Private[Any]
    place: strawberry.Private[str | None]
    name: str = strawberry.field(description='The blob\'s name; "content" for the file itself.')
    type: BlobType = strawberry.field(description="What it is; never AUTO.")
    mime_type: str | None = strawberry.field(description="Its MIME type; null when it is unknown.")

    @strawberry.field(description="Its stable address, e.g. s3://bucket/key in the source; it is no link.")
    async def uri(self, info: Info) -> str:
        """The provider's address of the file, or where a mapping says that it is."""
        if self.place is not None:
            return self.place
        storage = await info.context.loaders.storages.load(self.row.storage_id)
        assert storage is not None
        return object_uri(storage, self.row)

    @strawberry.field(
        description="A link that works for the storage's presignTtl, or the uri when that is one; null when the storage"
        " is archived, or the uri is of another kind."
    )
    async def url(self, info: Info) -> str | None:
        """A link to the file."""
        if self.place is not None:
            return self.place if self.place.lower().startswith(("http://", "https://")) else None
        return await info.context.loaders.object_urls.load(self.row)


def blobs_of(row: Any) -> list[Blob]:
    """The blobs of an object: those that a mapping made, else its file."""
    stored = row.blobs
    if stored is None:
        return [Blob(row=row, place=None, name=DEFAULT_NAME, type=BlobType(row.modality), mime_type=row.mime_type)]
    return [_blob(row, item) for item in stored]


def _blob(row: Any, item: Mapping[str, Any]) -> Blob:
    place = item["uri"]
    mime = row.mime_type if place is None else mime_of_url(place)
    return Blob(row=row, place=place, name=item["name"], type=BlobType(item["type"]), mime_type=mime)


@strawberry.type(description="One record of a dataset: a file, or a row of one.")
class SyncedObject(RowView, Node):
    """An object's row."""

    row_kind: ClassVar[str] = "SyncedObject"
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "row_number": lambda row: row.row,
        "source_object_id": lambda row: text_of_key(row.source_key),
        "fields": lambda row: row.fields or {},
        "blobs": blobs_of,
    }

    status: ObjectStatus = strawberry.field(description="Where the object is.")
    source_object_id: str = strawberry.field(
        description="Its id in the source, e.g. the key; bytes that no text can hold are percent-encoded."
    )
    path: str = strawberry.field(description="Where it is in the source.")
    row_number: int = strawberry.field(name="row", description="Which row of the file, from 0; 0 for a whole file.")
    size_bytes: BigInt | None = strawberry.field(description="Bytes of the file; null when the source does not tell.")
    mime_type: str | None = strawberry.field(description="The file's MIME type; null when it is unknown.")
    modality: Modality = strawberry.field(description="What kind of content it is.")
    fingerprint: str | None = strawberry.field(description="Changes when the content changes.")
    source_modified_at: datetime | None = strawberry.field(description="When the file last changed in the source.")
    data: JSON | None = strawberry.field(description="The record as it was read; null for a whole file.")
    fields: JSON = strawberry.field(description="What a mapping made of it: an object.")
    blobs: list[Blob] = strawberry.field(description="The files that belong to it.")
    first_synced_at: datetime = strawberry.field(description="When it came into the dataset.")
    synced_at: datetime = strawberry.field(description="When a sync last added or replaced it.")
    missing_since: datetime | None = strawberry.field(description="Since when it is no longer in the source.")

    @strawberry.field(description="The dataset that it belongs to.")
    async def project(self, info: Info) -> Annotated[Project, strawberry.lazy("gql.types.projects")]:
        """The project."""
        from gql.types.projects import Project as ProjectType

        return ProjectType.of(await info.context.loaders.projects.load(self.row.project_id))

    @strawberry.field(description="Where it came from; an archived storage too.")
    async def storage(self, info: Info) -> Storage:
        """The storage."""
        return storage_of(await info.context.loaders.storages.load(self.row.storage_id))

    @strawberry.field(
        description="What wrote it last; null for a sync of the storage by itself, and when the configuration is "
        "deleted."
    )
    async def sync_config(self, info: Info) -> SyncConfig | None:
        """The configuration."""
        if self.row.sync_config_id is None:
            return None
        return optional(sync_config_of, await info.context.loaders.sync_configs.load(self.row.sync_config_id))

    @strawberry.field(description="A link that works for the storage's presignTtl; null when the storage is archived.")
    async def url(self, info: Info) -> str | None:
        """A link to the file."""
        return await info.context.loaders.object_urls.load(self.row)
