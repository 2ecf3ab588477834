"""createSyncConfig."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.inputs.file_filters import FileFiltersInput
from gql.inputs.schema_mapping import SchemaMappingInput
from gql.inputs.sync_configs import WebhookInput, given_options
from gql.scalars import JSON
from gql.types.errors import UserError
from gql.types.sync_configs import SyncConfig, sync_config_of
from gql.types.sync_enums import OnDelete, OnUpdate, SyncMode
from gql.types.warnings import Notice, warning_of
from resolvers import sync_configs


@strawberry.input(description="A new sync configuration. What it reads is looked at first.")
class CreateSyncConfigInput:
    """A configuration's fields."""

    project_id: strawberry.ID = strawberry.field(description="The dataset that it fills.")
    storage_id: strawberry.ID = strawberry.field(description="What it reads; one storage may fill several datasets.")
    name: str = strawberry.field(default="", description="For people; at most 256 characters.")
    source_path: str = strawberry.field(
        description="Where in the source it reads, within its storage, in the provider's sourcePathFormat: bucket or "
        "bucket/folder of S3, folder/path of a local folder; at most 1,024 bytes."
    )
    mode: SyncMode = strawberry.field(default=SyncMode.CONTINUOUS, description="When it runs by itself.")
    file_filters: FileFiltersInput | None = strawberry.field(
        default=None, description="Which files it takes; null: all."
    )
    schema_mapping: SchemaMappingInput | None = strawberry.field(
        default=None, description="What it makes of each object; null: the file is blob content, and no fields."
    )
    metadata: JSON | None = strawberry.field(
        default=None, description="An object of at most 50 keys and 16 KiB as JSON, for the owner's own use."
    )
    webhook: WebhookInput | None = strawberry.field(
        default=None, description="Where its events are sent; null: nowhere."
    )
    polling_interval_seconds: int = strawberry.field(
        default=300, description="Seconds between two runs, of CONTINUOUS and SCHEDULED: 30 to 900."
    )
    cron: str | None = strawberry.field(
        default=None,
        description="SCHEDULED alone: when it runs, in five fields (30 2 * * 1-5), or @hourly, @daily, @weekly, "
        "@monthly, @yearly; wins over the interval.",
    )
    time_zone: str = strawberry.field(default="UTC", description="Where cron's hours are, e.g. Europe/Berlin.")
    batch_size: int = strawberry.field(default=50, description="Objects of a batch: 1 to 100.")
    max_objects_per_run: int | None = strawberry.field(
        default=None, description="A run ends after so many objects, at least 1, and the next goes on; null: no limit."
    )
    checkpoint_frequency: int = strawberry.field(
        default=1_000, description="Objects between two checkpoints: 100 to 10,000."
    )
    skip_duplicates: bool = strawberry.field(
        default=False, description="Leave out content that the project has already under another name."
    )
    skip_batch_submission: bool = strawberry.field(default=False, description="Make no batches.")
    require_confirmation: bool = strawberry.field(
        default=False, description="What runs find stays STAGED until confirmSync."
    )
    use_blob_urls: bool = strawberry.field(
        default=True,
        description="true: an object is a file, linked to. false: files of records are read, an object is a record.",
    )
    batch_chunk_size: int = strawberry.field(
        default=100, description="Objects whose tags, metadata and hashes are fetched together: 1 to 1,000."
    )
    max_missing_fraction: float = strawberry.field(
        default=0.5,
        description="0 to 1: a run that would miss more than this of over 100 objects fails with LIMIT instead.",
    )
    on_update: OnUpdate = strawberry.field(
        default=OnUpdate.REPLACE, description="What becomes of an object that changed in its source."
    )
    on_delete: OnDelete = strawberry.field(
        default=OnDelete.MARK, description="What becomes of an object that is gone from its source."
    )
    resume_enabled: bool = strawberry.field(
        default=True, description="A run that was cut off goes on from its checkpoint; else it begins anew."
    )
    draft: bool = strawberry.field(
        default=False, description="Make it a DRAFT, which does not run until it is activated."
    )


@strawberry.type(description="The configuration as it is now.")
class SyncConfigPayload:
    """The answer of what changes a configuration."""

    sync_config: SyncConfig | None = strawberry.field(default=None, description="Null when there was an error.")
    webhook_secret: str | None = strawberry.field(
        default=None, description="What its webhook is signed with, when one was made: shown this once."
    )
    warnings: list[Notice] = strawberry.field(default_factory=list[Notice], description="What will surprise.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


def saved(made: sync_configs.SavedConfig) -> SyncConfigPayload:
    """The payload of a configuration that was saved."""
    return SyncConfigPayload(
        sync_config=sync_config_of(made.config),
        webhook_secret=made.secret,
        warnings=list(map(warning_of, made.warnings)),
    )


@payload(SyncConfigPayload)
async def create_sync_config(info: Info, input: CreateSyncConfigInput) -> SyncConfigPayload:
    """Makes a configuration."""
    made = await sync_configs.create_sync_config(
        info.context.services,
        info.context.viewer,
        project_id=input.project_id,
        storage_id=input.storage_id,
        source_path=input.source_path,
        options=given_options(input, besides=("project_id", "storage_id", "source_path", "draft")),
        draft=input.draft,
    )
    return saved(made)
