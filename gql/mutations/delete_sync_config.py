"""deleteSyncConfig."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from resolvers import removal


@strawberry.input(
    description="The end of a configuration: gone at once, its jobs canceled. Its objects stay unless told, but for "
    "those that wait for confirmation; its jobs stay without it, its batches and dead letters go."
)
class DeleteSyncConfigInput:
    """Which configuration."""

    id: strawberry.ID = strawberry.field(description="Which configuration.")
    delete_objects: bool = strawberry.field(
        default=False,
        description="Also remove the objects that it wrote last from the dataset: a background job does it.",
    )


@strawberry.type(description="Which configuration was deleted.")
class DeleteSyncConfigPayload:
    """The answer of deleteSyncConfig."""

    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(DeleteSyncConfigPayload)
async def delete_sync_config(info: Info, input: DeleteSyncConfigInput) -> DeleteSyncConfigPayload:
    """Deletes a configuration."""
    await removal.delete_sync_config(
        info.context.services, info.context.viewer, input.id, delete_objects=input.delete_objects
    )
    return DeleteSyncConfigPayload(deleted_id=input.id)
