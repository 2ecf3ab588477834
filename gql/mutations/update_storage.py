"""updateStorage."""

from __future__ import annotations

import strawberry
from strawberry import Maybe

from gql.context import Info
from gql.errors import payload
from gql.inputs.given import given_fields
from gql.inputs.storages import StorageSettingsPatchInput, given_settings
from gql.scalars import BigInt
from gql.types.errors import UserError
from gql.types.storages import Storage, storage_of
from gql.types.warnings import Notice, warning_of
from resolvers import storages


@strawberry.input(
    description="Only what is given changes; null resets to the default of create, and is INVALID where there is none. "
    "Secrets that are not given are kept. Project, bucket, prefix, endpoint or path of a storage that has objects: "
    "CONFLICT unless confirmRescan."
)
class UpdateStorageInput:
    """A storage's fields, in part."""

    id: strawberry.ID = strawberry.field(description="Which storage.")
    project_id: strawberry.ID | None = strawberry.field(
        default=None, description="The dataset that it fills from now on."
    )
    confirm_rescan: bool = strawberry.field(
        default=False,
        description="Its objects may turn into missing ones at the next sync, because it reads elsewhere.",
    )
    provider: StorageSettingsPatchInput | None = strawberry.field(
        default=None, description="Changes of the connection."
    )
    title: Maybe[str | None] = strawberry.field(description="At most 256 characters.")
    description: Maybe[str | None] = strawberry.field(description="At most 10,000 characters.")
    regex_filter: Maybe[str | None] = strawberry.field(
        description="Only keys that this RE2 pattern matches from their start; null is every key."
    )
    recursive_scan: Maybe[bool | None] = strawberry.field(description="Folders below the first level too.")
    use_blob_urls: Maybe[bool | None] = strawberry.field(description="Objects are files, not the records in them.")
    presign: Maybe[bool | None] = strawberry.field(description="Links go straight to the provider.")
    presign_ttl: Maybe[int | None] = strawberry.field(description="Minutes that a link works: 1 to 32,767.")
    synchronizable: Maybe[bool | None] = strawberry.field(description="Whether it may be synced.")
    max_requests_per_second: Maybe[float | None] = strawberry.field(description="Ceiling for every run; null is none.")
    max_bytes_per_second: Maybe[BigInt | None] = strawberry.field(description="Ceiling for every run; null is none.")
    validate: bool = strawberry.field(
        default=True, description="Test a changed connection first and refuse what does not work."
    )


@strawberry.type(description="The storage as it is now.")
class UpdateStoragePayload:
    """The answer of updateStorage."""

    storage: Storage | None = strawberry.field(default=None, description="Null when there was an error.")
    warnings: list[Notice] = strawberry.field(default_factory=list[Notice], description="What will surprise.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(UpdateStoragePayload)
async def update_storage(info: Info, input: UpdateStorageInput) -> UpdateStoragePayload:
    """Changes a storage."""
    kind, settings = given_settings(input.provider) if input.provider else (None, {})
    given = storages.StorageChanges(
        options=given_fields(input, besides=("id", "project_id", "confirm_rescan", "provider", "validate")),
        project_id=input.project_id,
        kind=kind,
        settings=settings,
        confirm_rescan=input.confirm_rescan,
        validate=input.validate,
    )
    changed = await storages.update_storage(info.context.services, info.context.viewer, input.id, given)
    return UpdateStoragePayload(storage=storage_of(changed.storage), warnings=list(map(warning_of, changed.warnings)))
