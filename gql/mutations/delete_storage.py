"""deleteStorage."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from resolvers import removal


@strawberry.input(
    description="The end of a storage: archived, credentials erased, its jobs canceled. Its objects stay unless told."
)
class DeleteStorageInput:
    """Which storage."""

    id: strawberry.ID = strawberry.field(description="Which storage.")
    delete_objects: bool = strawberry.field(
        default=False, description="Also remove its objects from the dataset: a background job does it."
    )


@strawberry.type(description="Which storage was deleted.")
class DeleteStoragePayload:
    """The answer of deleteStorage."""

    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(DeleteStoragePayload)
async def delete_storage(info: Info, input: DeleteStorageInput) -> DeleteStoragePayload:
    """Archives a storage."""
    await removal.delete_storage(
        info.context.services, info.context.viewer, input.id, delete_objects=input.delete_objects
    )
    return DeleteStoragePayload(deleted_id=input.id)
