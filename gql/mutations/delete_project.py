"""deleteProject."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.errors import UserError
from resolvers import removal


@strawberry.input(description="The end of a dataset: its storages, their jobs and its objects are removed with it.")
class DeleteProjectInput:
    """Which project."""

    id: strawberry.ID = strawberry.field(description="Which project.")


@strawberry.type(description="Which project was deleted.")
class DeleteProjectPayload:
    """The answer of deleteProject."""

    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(DeleteProjectPayload)
async def delete_project(info: Info, input: DeleteProjectInput) -> DeleteProjectPayload:
    """Deletes a project."""
    await removal.delete_project(info.context.services, info.context.viewer, input.id)
    return DeleteProjectPayload(deleted_id=input.id)
