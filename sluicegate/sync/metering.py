"""A run's counters as metrics of the process: what a run adds here, not what its checkpoint brought along."""

from __future__ import annotations

from sluicegate.core.metrics import SYNC_BYTES, SYNC_OBJECTS
from sluicegate.sync.progress import Progress


class Meter:
    """Counts from `progress` on: the state that the run begins with."""

    def __init__(self, progress: Progress) -> None:
        self._counted = _counters(progress)
        self._bytes = progress.bytes_synced

    def count(self, progress: Progress) -> None:
        """Adds what has come since the last call. A run that goes back to a checkpoint takes nothing away."""
        for outcome, number in _counters(progress).items():
            grown = number - self._counted[outcome]
            if grown > 0:
                SYNC_OBJECTS.labels(outcome).inc(grown)
                self._counted[outcome] = number
        grown = progress.bytes_synced - self._bytes
        if grown > 0:
            SYNC_BYTES.inc(grown)
            self._bytes = progress.bytes_synced


def _counters(progress: Progress) -> dict[str, int]:
    return {
        "found": progress.found,
        "filtered": sum(progress.filtered.values()),
        "duplicate": progress.duplicate,
        "unchanged": progress.unchanged,
        "synced": progress.added + progress.updated,
        "failed": progress.failed,
        "missing": progress.missing,
    }
