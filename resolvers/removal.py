"""Deleting storages and projects: gone for callers at once, removed by a job."""

from __future__ import annotations

from models import project_queries, storage_queries
from models import removal as rows
from resolvers.access import Viewer
from resolvers.services import Services
from resolvers.storages import archive, present
from sluicegate.core.clock import now
from sluicegate.core.ids import decode_id
from sluicegate.jobs.removal import REMOVE_OBJECTS, REMOVE_PROJECT


async def delete_storage(services: Services, viewer: Viewer, global_id: str, *, delete_objects: bool) -> None:
    """Archives a storage: credentials erased, hidden from lists, its jobs canceled. Raises NotFoundError.

    `delete_objects`: also removes its objects, by a job.
    """
    number = decode_id(global_id, "Storage")
    async with services.database.write(viewer.namespace.id) as session:
        storage = present(await storage_queries.lock_storage(session, number), global_id)
        await archive(services, session, storage, viewer.actor)
        if delete_objects:
            await services.jobs.enqueue(
                session,
                namespace_id=viewer.namespace.id,
                job_class=REMOVE_OBJECTS,
                unicity=f"remove:storage:{storage.id}",
                payload={"storageId": storage.id},
                created_by=viewer.actor,
            )


async def delete_project(services: Services, viewer: Viewer, global_id: str) -> None:
    """Hides a project and archives its storages; a job removes everything beneath it. Raises NotFoundError."""
    number = decode_id(global_id, "Project")
    async with services.database.write(viewer.namespace.id) as session:
        project = project_queries.present(await project_queries.lock_project(session, number), global_id)
        project.deleted_at = now()
        for storage in await rows.storages_of_project(session, number):
            row = await storage_queries.lock_storage(session, storage)
            if row is not None and row.deleted_at is None:
                await archive(services, session, row, viewer.actor)
        await services.jobs.enqueue(
            session,
            namespace_id=viewer.namespace.id,
            job_class=REMOVE_PROJECT,
            unicity=f"remove:project:{number}",
            payload={"projectId": number},
            created_by=viewer.actor,
        )
