"""updateProject."""

from __future__ import annotations

import strawberry
from strawberry import Maybe

from gql.context import Info
from gql.errors import payload
from gql.inputs.given import given_fields
from gql.mutations.create_project import ProjectPayload
from gql.scalars import JSON
from gql.types.projects import Project
from resolvers import projects


@strawberry.input(description="Changes of a project. Only what is given changes.")
class UpdateProjectInput:
    """A project's fields, in part."""

    id: strawberry.ID = strawberry.field(description="Which project.")
    name: Maybe[str | None] = strawberry.field(description="1 to 256 characters; null is INVALID.")
    description: Maybe[str | None] = strawberry.field(description="At most 10,000 characters; null empties it.")
    object_schema: Maybe[JSON | None] = strawberry.field(description="A JSON Schema of an object; null removes it.")


@payload(ProjectPayload)
async def update_project(info: Info, input: UpdateProjectInput) -> ProjectPayload:
    """Changes a project."""
    changes = given_fields(input, besides=("id",))
    changed = await projects.update_project(info.context.services, info.context.viewer, input.id, changes)
    return ProjectPayload(project=Project.of(changed))
