"""Deleting storages, sync configurations and projects: gone for callers at once, removed by a job."""

from __future__ import annotations

from functools import partial

from models import config_transitions, project_queries, storage_queries
from models import removal as rows
from models.changes import changes
from models.database import after_commit
from resolvers.access import Viewer
from resolvers.live import SYNC_CONFIG
from resolvers.services import Services
from resolvers.storages import archive, present
from resolvers.sync_config_states import archive_row, cancel_jobs, locked
from sluicegate.core.clock import now
from sluicegate.core.ids import decode_id
from sluicegate.jobs.removal import REMOVE_OBJECTS, REMOVE_PROJECT, REMOVE_SYNC_CONFIG


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


async def delete_sync_config(services: Services, viewer: Viewer, global_id: str, *, delete_objects: bool) -> None:
    """Deletes a configuration: gone at once, its jobs canceled. Raises NotFoundError.

    A job removes what waits for confirmation and its dead letters; with `delete_objects` all that it wrote last.
    """
    async with locked(services, viewer, global_id) as (session, config):
        await cancel_jobs(services, session, config, viewer.actor, reason="The configuration was deleted.")
        high = config.range_high
        await services.jobs.enqueue(
            session,
            namespace_id=viewer.namespace.id,
            job_class=REMOVE_SYNC_CONFIG,
            unicity=f"remove:config:{config.id}",
            payload={
                "syncConfigId": config.id,
                "projectId": config.project_id,
                "storageId": config.storage_id,
                "low": config.range_low.hex(),
                "high": None if high is None else high.hex(),
                "objects": delete_objects,
            },
            created_by=viewer.actor,
        )
        await rows.delete_config(session, config)
        changes(session).pop((SYNC_CONFIG, config.id), None)
        after_commit(session, partial(services.hub.publish_deleted, SYNC_CONFIG, config.id))


async def delete_project(services: Services, viewer: Viewer, global_id: str) -> None:
    """Hides a project and archives what is in it; a job removes everything beneath it. Raises NotFoundError."""
    number = decode_id(global_id, "Project")
    async with services.database.write(viewer.namespace.id) as session:
        project = project_queries.present(await project_queries.lock_project(session, number), global_id)
        project.deleted_at = now()
        for storage in await rows.storages_of_project(session, number):
            row = await storage_queries.lock_storage(session, storage)
            if row is not None and row.deleted_at is None:
                await archive(services, session, row, viewer.actor)
        for number_of_config in await rows.configs_of_project(session, number):
            config = await config_transitions.lock(session, number_of_config)
            if config is not None:  # over a storage of another project
                await archive_row(services, session, config, viewer.actor, reason="The project was deleted.")
        services.jobs.announce(session)
        await services.jobs.enqueue(
            session,
            namespace_id=viewer.namespace.id,
            job_class=REMOVE_PROJECT,
            unicity=f"remove:project:{number}",
            payload={"projectId": number},
            created_by=viewer.actor,
        )
