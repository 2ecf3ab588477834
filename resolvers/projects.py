"""Projects: made and changed."""

from __future__ import annotations

from typing import Any

from models import project_queries
from models.pagination import Page, PageRequest
from models.projects import Project
from resolvers import checks
from resolvers.access import Viewer
from resolvers.services import Services
from sluicegate.core.clock import now
from sluicegate.core.errors import InvalidError
from sluicegate.core.ids import decode_id
from sluicegate.sync.mapping_schema import read_schema

MAX_NAME = 256


async def list_projects(services: Services, viewer: Viewer, request: PageRequest) -> Page[Project]:
    """A page of the namespace's projects."""
    async with services.database.read(viewer.namespace.id) as session:
        return await project_queries.list_projects(session, request)


async def count_projects(services: Services, viewer: Viewer) -> int:
    """How many projects the namespace has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await project_queries.count_projects(session)


async def create_project(
    services: Services, viewer: Viewer, *, name: str, description: str, object_schema: Any
) -> Project:
    """A new, empty project. Raises InvalidError."""
    values = _checked({"name": name, "description": description, "object_schema": object_schema})
    async with services.database.write(viewer.namespace.id) as session:
        project = Project(namespace_id=viewer.namespace.id, **values)
        session.add(project)
    return project


async def update_project(services: Services, viewer: Viewer, global_id: str, changes: dict[str, Any]) -> Project:
    """Changes what is given. Raises InvalidError, NotFoundError."""
    number = decode_id(global_id, "Project")
    values = _checked(changes)
    async with services.database.write(viewer.namespace.id) as session:
        project = project_queries.present(await project_queries.lock_project(session, number), global_id)
        for column, value in values.items():
            setattr(project, column, value)
        project.updated_at = now()
    return project


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if "name" in values:
        name = values["name"]
        if name is None or not name.strip():
            raise InvalidError("A project needs a name.", path=("name",))
        checks.check_text(name, ("name",), longest=MAX_NAME)
    if "description" in values:
        values["description"] = checks.check_text(
            values["description"] or "", ("description",), longest=checks.MAX_DESCRIPTION
        )
    schema = values.get("object_schema")
    if schema is not None:
        checks.check_json(schema, ("objectSchema",))
        read_schema(schema)
    return values
