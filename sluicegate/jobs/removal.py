"""The job classes that remove objects: of a deleted storage, and of a deleted project with all beneath it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from models import job_state, removal
from models.database import AsyncSession, Database
from models.jobs import JobStatus
from sluicegate.core.errors import ErrorCode, RetriableError
from sluicegate.sync.run import RunHandle

REMOVE_OBJECTS = "REMOVE_OBJECTS"
REMOVE_PROJECT = "REMOVE_PROJECT"
WAIT_SECONDS = 60.0
"""How long canceled runs may take to end before the removal is tried again later."""
_POLL_SECONDS = 0.25

Part = Callable[[AsyncSession], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Removed:
    """How a removal ended. `status` None: it stopped early, as asked; the next run goes on with what is left."""

    status: JobStatus | None
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])


class RemoveObjects:
    """REMOVE_OBJECTS; its payload is {storageId}."""

    name = REMOVE_OBJECTS

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, handle: RunHandle) -> Removed:
        """Removes a storage's objects, in every project that has some."""
        storage: int = handle.job.payload["storageId"]
        await _wait_for_runs(self._database, handle, [storage])
        async with self._database.read(handle.claim.namespace_id) as session:
            projects = await removal.projects_of_storage(session, storage)
        for project in projects:
            if not await _in_parts(
                self._database, handle, lambda session, of=project: removal.remove_objects(session, of, storage)
            ):
                return Removed(None)
        async with self._database.write(handle.claim.namespace_id) as session:
            await job_state.save(session, handle.claim)
            await removal.forget_files(session, [storage])
        return Removed(JobStatus.COMPLETED, {"progress": 1.0})


class RemoveProject:
    """REMOVE_PROJECT; its payload is {projectId}."""

    name = REMOVE_PROJECT

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, handle: RunHandle) -> Removed:
        """Removes a project's objects, its storages, their jobs, and its row."""
        project: int = handle.job.payload["projectId"]
        async with self._database.read(handle.claim.namespace_id) as session:
            storages = await removal.storages_of_project(session, project)
        await _wait_for_runs(self._database, handle, storages)
        if not await _in_parts(self._database, handle, lambda session: removal.remove_objects(session, project)):
            return Removed(None)
        async with self._database.write(handle.claim.namespace_id) as session:
            await job_state.save(session, handle.claim)
            await removal.remove_project(session, project)
        return Removed(JobStatus.COMPLETED, {"progress": 1.0})


async def _in_parts(database: Database, handle: RunHandle, remove: Part) -> bool:
    """Removes part by part until none is left; False when the job was told to stop. Raises FencedError."""
    while not handle.stop.is_set():
        async with database.write(handle.claim.namespace_id) as session:
            saved = await job_state.save(session, handle.claim)
            if saved.status != JobStatus.IN_PROGRESS:
                return False
            if await remove(session) == 0:
                return True
    return False


async def _wait_for_runs(database: Database, handle: RunHandle, storages: Sequence[int]) -> None:
    """Returns when no run can write to the storages. Raises RetriableError when that takes too long."""
    until = asyncio.get_running_loop().time() + WAIT_SECONDS
    while not handle.stop.is_set():
        async with database.read(handle.claim.namespace_id) as session:
            if not await removal.is_busy(session, storages):
                return
        if asyncio.get_running_loop().time() > until:
            raise RetriableError("A canceled sync has not ended yet.", code=ErrorCode.CONFLICT)
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await handle.stop.wait()
