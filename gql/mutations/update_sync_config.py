"""updateSyncConfig."""

from __future__ import annotations

import strawberry
from strawberry import Maybe

from gql.context import Info
from gql.errors import payload
from gql.inputs.file_filters import FileFiltersInput
from gql.inputs.schema_mapping import SchemaMappingInput
from gql.inputs.sync_configs import WebhookInput, given_options
from gql.mutations.create_sync_config import SyncConfigPayload, saved
from gql.scalars import JSON
from gql.types.sync_enums import OnDelete, OnUpdate, SyncMode
from resolvers import sync_configs
from sluicegate.core.errors import InvalidError


@strawberry.input(
    description="Only what is given changes; null resets to the default of create, and is INVALID where there is none. "
    "sourcePath of a configuration that has objects: CONFLICT unless confirmRescan. sourcePath, fileFilters, "
    "schemaMapping and useBlobUrls: CONFLICT while a run waits or is under way; pause it first. An archived "
    "configuration stays as it is. One that has ended (ONE_TIME) goes on when it gets another mode."
)
class UpdateSyncConfigInput:
    """A configuration's fields, in part."""

    id: strawberry.ID = strawberry.field(description="Which configuration.")
    name: Maybe[str | None] = strawberry.field(description="At most 256 characters.")
    source_path: Maybe[str | None] = strawberry.field(
        description="Where in the source it reads from now on; it has no default to go back to."
    )
    confirm_rescan: bool = strawberry.field(
        default=False,
        description="Its objects may turn into missing ones at the next run, because it reads elsewhere.",
    )
    mode: Maybe[SyncMode | None] = strawberry.field(description="When it runs by itself.")
    file_filters: Maybe[FileFiltersInput | None] = strawberry.field(
        description="Which files it takes, all rules of them; null: all files."
    )
    schema_mapping: Maybe[SchemaMappingInput | None] = strawberry.field(
        description="What it makes of each object, all of it; null: the file is blob content, and no fields. At the "
        "next run everything is made anew."
    )
    metadata: Maybe[JSON | None] = strawberry.field(description="An object of at most 50 keys and 16 KiB as JSON.")
    webhook: Maybe[WebhookInput | None] = strawberry.field(
        description="Where its events are sent; null: nowhere, and the secret is forgotten."
    )
    polling_interval_seconds: Maybe[int | None] = strawberry.field(description="30 to 900.")
    cron: Maybe[str | None] = strawberry.field(description="SCHEDULED alone; null: by the interval.")
    time_zone: Maybe[str | None] = strawberry.field(description="Where cron's hours are.")
    batch_size: Maybe[int | None] = strawberry.field(description="1 to 100.")
    max_objects_per_run: Maybe[int | None] = strawberry.field(description="At least 1; null: no limit.")
    checkpoint_frequency: Maybe[int | None] = strawberry.field(description="100 to 10,000.")
    skip_duplicates: Maybe[bool | None] = strawberry.field(description="Leave out content that the project has.")
    skip_batch_submission: Maybe[bool | None] = strawberry.field(description="Make no batches.")
    require_confirmation: Maybe[bool | None] = strawberry.field(description="Stage what runs find.")
    use_blob_urls: Maybe[bool | None] = strawberry.field(description="Objects are files, not the records in them.")
    batch_chunk_size: Maybe[int | None] = strawberry.field(description="1 to 1,000.")
    max_missing_fraction: Maybe[float | None] = strawberry.field(description="0 to 1.")
    on_update: Maybe[OnUpdate | None] = strawberry.field(description="What becomes of an object that changed.")
    on_delete: Maybe[OnDelete | None] = strawberry.field(description="What becomes of an object that is gone.")
    resume_enabled: Maybe[bool | None] = strawberry.field(description="Go on from checkpoints.")


@payload(SyncConfigPayload)
async def update_sync_config(info: Info, input: UpdateSyncConfigInput) -> SyncConfigPayload:
    """Changes a configuration."""
    changed = await sync_configs.update_sync_config(
        info.context.services,
        info.context.viewer,
        input.id,
        source_path=_source_path(input.source_path),
        options=given_options(input, besides=("id", "source_path", "confirm_rescan")),
        confirm_rescan=input.confirm_rescan,
    )
    return saved(changed)


def _source_path(given: Maybe[str | None]) -> str | None:
    if given is not None and given.value is None:
        raise InvalidError("A configuration needs a source path.", path=("sourcePath",))
    return None if given is None else given.value
