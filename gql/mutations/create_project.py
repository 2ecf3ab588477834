"""createProject."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.scalars import JSON
from gql.types.errors import UserError
from gql.types.projects import Project
from resolvers import projects


@strawberry.input(description="A new dataset.")
class CreateProjectInput:
    """A project's fields."""

    name: str = strawberry.field(description="1 to 256 characters.")
    description: str = strawberry.field(default="", description="For people; at most 10,000 characters.")
    object_schema: JSON | None = strawberry.field(
        default=None, description="A JSON Schema whose properties are the fields of the objects."
    )


@strawberry.type(description="The project as it is now.")
class ProjectPayload:
    """The answer of createProject and updateProject."""

    project: Project | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(ProjectPayload)
async def create_project(info: Info, input: CreateProjectInput) -> ProjectPayload:
    """Makes a project."""
    made = await projects.create_project(
        info.context.services,
        info.context.viewer,
        name=input.name,
        description=input.description,
        object_schema=input.object_schema,
    )
    return ProjectPayload(project=Project.of(made))
