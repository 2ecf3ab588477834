"""The job class of a configuration's runs."""

from __future__ import annotations

from sluicegate.sync.run import RunHandle
from sluicegate.sync.runner import RunResult, run_sync
from sluicegate.sync.services import SyncServices


class SyncConfigRun:
    """SYNC_CONFIG; its payload is {fullSync, dryRun, allowMassMissing, onlyKeys}."""

    name = "SYNC_CONFIG"

    def __init__(self, services: SyncServices) -> None:
        self._services = services

    async def run(self, handle: RunHandle) -> RunResult:
        """One run, from its checkpoint where it has one."""
        return await run_sync(handle, self._services)
