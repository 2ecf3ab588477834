"""createStorage."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.inputs.given import given_fields
from gql.inputs.storages import StorageSettingsInput, given_settings
from gql.scalars import BigInt
from gql.types.errors import UserError
from gql.types.storages import Storage, storage_of
from gql.types.warnings import Notice, warning_of
from resolvers import storages


@strawberry.input(description="A new storage. Its connection is tested first, unless validate is false.")
class CreateStorageInput:
    """A storage's fields."""

    project_id: strawberry.ID = strawberry.field(description="The dataset that it fills.")
    provider: StorageSettingsInput = strawberry.field(description="What it connects to.")
    title: str = strawberry.field(default="", description="For people; at most 256 characters.")
    description: str = strawberry.field(default="", description="For people; at most 10,000 characters.")
    regex_filter: str | None = strawberry.field(
        default=None, description="Only keys that this RE2 pattern matches from their start; none is every key."
    )
    recursive_scan: bool = strawberry.field(default=True, description="Folders below the first level too.")
    use_blob_urls: bool = strawberry.field(
        default=False,
        description="true: an object is a file, linked to. false: files of JSON are read, an object is a record.",
    )
    presign: bool = strawberry.field(
        default=True, description="Links go straight to the provider, signed; else through the gateway."
    )
    presign_ttl: int = strawberry.field(default=1, description="Minutes that a link works: 1 to 32,767.")
    synchronizable: bool = strawberry.field(default=True, description="Whether it may be synced.")
    max_requests_per_second: float | None = strawberry.field(
        default=None, description="Ceiling for every run over this storage; null is none."
    )
    max_bytes_per_second: BigInt | None = strawberry.field(
        default=None, description="Ceiling for every run over this storage; null is none."
    )
    validate: bool = strawberry.field(
        default=True, description="Test the connection first and refuse what does not work."
    )


@strawberry.type(description="The new storage.")
class CreateStoragePayload:
    """The answer of createStorage."""

    storage: Storage | None = strawberry.field(default=None, description="Null when there was an error.")
    warnings: list[Notice] = strawberry.field(default_factory=list[Notice], description="What will surprise.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(CreateStoragePayload)
async def create_storage(info: Info, input: CreateStorageInput) -> CreateStoragePayload:
    """Makes a storage."""
    kind, settings = given_settings(input.provider)
    made = await storages.create_storage(
        info.context.services,
        info.context.viewer,
        project_id=input.project_id,
        kind=kind,
        settings=settings,
        options=given_fields(input, besides=("project_id", "provider", "validate")),
        validate=input.validate,
    )
    return CreateStoragePayload(storage=storage_of(made.storage), warnings=list(map(warning_of, made.warnings)))
