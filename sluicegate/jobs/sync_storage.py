"""The job class of a storage's sync."""

from __future__ import annotations

from sluicegate.sync.run import RunHandle
from sluicegate.sync.runner import RunResult, run_sync
from sluicegate.sync.services import SyncServices


class SyncStorage:
    """SYNC_STORAGE; its payload is {fullSync, dryRun, allowMassMissing}."""

    name = "SYNC_STORAGE"

    def __init__(self, services: SyncServices) -> None:
        self._services = services

    async def run(self, handle: RunHandle) -> RunResult:
        """One run, from its checkpoint where it has one."""
        return await run_sync(handle, self._services)
