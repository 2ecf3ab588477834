"""The job classes that remove objects: of a deleted storage or configuration, of a deleted project with all in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from models import job_state, removal
from models.database import AsyncSession, Database
from models.jobs import JobStatus
from models.ranges import KeyRange
from sluicegate.core.errors import ErrorCode, RetriableError
from sluicegate.sync.run import RunHandle, Work

REMOVE_OBJECTS = "REMOVE_OBJECTS"
REMOVE_PROJECT = "REMOVE_PROJECT"
REMOVE_SYNC_CONFIG = "REMOVE_SYNC_CONFIG"
WAIT_SECONDS = 60.0
"""How long canceled runs may take to end before the removal is tried again later."""
_POLL_SECONDS = 0.25

Part = Callable[[AsyncSession], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Removed:
    """How a removal ended. `status` None: it stopped early, as asked; the next run goes on with what is left."""

    status: JobStatus | None
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    also: Work | None = None


class RemoveObjects:
    """REMOVE_OBJECTS; its payload is {storageId}."""

    name = REMOVE_OBJECTS

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, handle: RunHandle) -> Removed:
        """Removes a storage's objects, in every project that has some."""
        storage: int = handle.job.payload["storageId"]
        await _wait_for(self._database, handle, lambda session: removal.is_busy(session, [storage]))
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


class RemoveSyncConfig:
    """REMOVE_SYNC_CONFIG; its payload is {syncConfigId, projectId, storageId, low, high, objects}; keys in hex."""

    name = REMOVE_SYNC_CONFIG

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, handle: RunHandle) -> Removed:
        """Removes what a deleted configuration left behind; with `objects` all that it wrote last."""
        payload = handle.job.payload
        low, high = bytes.fromhex(payload["low"]), payload["high"]
        keys = KeyRange(low, None if high is None else bytes.fromhex(high))
        scope = removal.ConfigScope(payload["syncConfigId"], payload["projectId"], payload["storageId"], keys)
        await _wait_for(self._database, handle, lambda session: removal.is_config_busy(session, scope.config_id))
        parts: list[Part] = [
            lambda session: removal.remove_kept(session, project_id=scope.project_id, config_id=scope.config_id),
            lambda session: removal.remove_of_config(session, scope, staged_only=not payload["objects"]),
        ]
        for part in parts:
            if not await _in_parts(self._database, handle, part):
                return Removed(None)
        if payload["objects"]:
            async with self._database.write(handle.claim.namespace_id) as session:
                await job_state.save(session, handle.claim)
                await removal.forget_files_of_config(session, scope)
        return Removed(JobStatus.COMPLETED, {"progress": 1.0})


class RemoveProject:
    """REMOVE_PROJECT; its payload is {projectId}."""

    name = REMOVE_PROJECT

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, handle: RunHandle) -> Removed:
        """Removes a project's objects, its configurations and storages, their jobs, and its row."""
        project: int = handle.job.payload["projectId"]
        async with self._database.read(handle.claim.namespace_id) as session:
            storages = await removal.storages_of_project(session, project)
        await _wait_for(self._database, handle, lambda session: removal.is_busy(session, storages, project))
        parts: list[Part] = [
            lambda session: removal.remove_objects(session, project),
            lambda session: removal.remove_kept(session, project_id=project),
        ]
        for part in parts:
            if not await _in_parts(self._database, handle, part):
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


async def _wait_for(database: Database, handle: RunHandle, is_busy: Callable[[AsyncSession], Awaitable[bool]]) -> None:
    """Returns when no run can write any more. Raises RetriableError when that takes too long."""
    until = asyncio.get_running_loop().time() + WAIT_SECONDS
    while not handle.stop.is_set():
        async with database.read(handle.claim.namespace_id) as session:
            if not await is_busy(session):
                return
        if asyncio.get_running_loop().time() > until:
            raise RetriableError("A canceled sync has not ended yet.", code=ErrorCode.CONFLICT)
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await handle.stop.wait()
