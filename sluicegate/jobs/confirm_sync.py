"""The job class of confirmations."""

from __future__ import annotations

from sluicegate.sync.confirm import confirm_sync
from sluicegate.sync.run import RunHandle
from sluicegate.sync.runner import RunResult
from sluicegate.sync.services import SyncServices


class ConfirmSync:
    """CONFIRM_SYNC; its payload is {confirms: the id of a SYNC_CONFIG job}."""

    name = "CONFIRM_SYNC"

    def __init__(self, services: SyncServices) -> None:
        self._services = services

    async def run(self, handle: RunHandle) -> RunResult:
        """All of it in one transaction."""
        return await confirm_sync(handle, self._services)
