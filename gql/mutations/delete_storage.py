"""deleteStorage."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from resolvers import storages


@strawberry.input(
    description="The end of a storage: archived, credentials erased, its jobs canceled. Its objects stay."
)
class DeleteStorageInput:
    """Which storage."""

    id: strawberry.ID = strawberry.field(description="Which storage.")


@strawberry.type(description="Which storage was deleted.")
class DeleteStoragePayload:
    """The answer of deleteStorage."""

    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(DeleteStoragePayload)
async def delete_storage(info: Info, input: DeleteStorageInput) -> DeleteStoragePayload:
    """Archives a storage."""
    await storages.archive_storage(info.context.services, info.context.viewer, input.id)
    return DeleteStoragePayload(deleted_id=input.id)
