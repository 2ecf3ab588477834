"""The counters of one run and its pace: what subscribers see, absolute, never deltas."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sluicegate.core.clock import now

RATE_WINDOW_SECONDS = 10.0
STALLED_AFTER_SECONDS = 30.0
MAX_LAST_ERRORS = 5
_MAX_MESSAGE = 500
# rclone smooths its speed so that the newest second weighs 1/15 (fs/accounting: averagePeriod = 16).
_SMOOTHING = 1 / 16


class Phase(StrEnum):
    """What a run is doing."""

    QUEUED = "QUEUED"
    CONNECTING = "CONNECTING"
    LISTING = "LISTING"
    IMPORTING = "IMPORTING"
    RECONCILING = "RECONCILING"
    FINALIZING = "FINALIZING"
    DONE = "DONE"


@dataclass(slots=True)
class Progress:
    """Counters of records: found = filtered + duplicate + unchanged + added + updated + failed, once a run is through.

    `pending` are files listed and not yet read, one record each: shown as found, but in no checkpoint. Bytes are the
    source's. `derived_additions`: the catalogue had nothing of the scope when the run began, so that the objects
    themselves tell what it added.
    """

    phase: Phase = Phase.CONNECTING
    listing_complete: bool = False
    found: int = 0
    pending: int = 0
    filtered: dict[str, int] = field(default_factory=dict[str, int])
    duplicate: int = 0
    unchanged: int = 0
    added: int = 0
    updated: int = 0
    restored: int = 0
    failed: int = 0
    missing: int = 0
    bytes_found: int = 0
    bytes_synced: int = 0
    batches: int = 0
    rate_limit_hits: int = 0
    current_object: str | None = None
    last_errors: deque[dict[str, Any]] = field(default_factory=lambda: deque[dict[str, Any]](maxlen=MAX_LAST_ERRORS))
    started_at: str = field(default_factory=lambda: now().isoformat())
    dry_run_report: dict[str, Any] | None = None
    derived_additions: bool = False
    _window: deque[tuple[float, int, int]] = field(default_factory=deque[tuple[float, int, int]])
    _smooth: float | None = None
    _moved: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Records that are through."""
        return sum(self.filtered.values()) + self.duplicate + self.unchanged + self.added + self.updated + self.failed

    @property
    def fraction(self) -> float | None:
        """0 to 1; None until the listing is complete."""
        if not self.listing_complete:
            return None
        total = self.found + self.pending
        return min(1.0, self.done / total) if total else 1.0

    def filter(self, rule: str, count: int = 1) -> None:
        """Counts records left out by a rule."""
        self.filtered[rule] = self.filtered.get(rule, 0) + count

    def fail(self, path: str, row: int, message: str) -> None:
        """Counts a failed record and keeps it among the last errors."""
        self.failed += 1
        error = {"path": path, "row": row, "kind": "FAILED", "message": message[:_MAX_MESSAGE], "at": now().isoformat()}
        self.last_errors.append(error)

    def measure(self) -> None:
        """Takes a sample of the pace; called a few times a second."""
        at = time.monotonic()
        sample = (at, self.done, self.bytes_synced)
        if not self._window or self._window[-1][1:] != sample[1:]:
            self._moved = at
        self._window.append(sample)
        while len(self._window) > 2 and at - self._window[0][0] > RATE_WINDOW_SECONDS:
            self._window.popleft()
        rate = self._rate(1)
        if rate is not None:
            self._smooth = rate if self._smooth is None else self._smooth + (rate - self._smooth) * _SMOOTHING

    def _rate(self, index: int) -> float | None:
        if len(self._window) < 2:
            return None
        first, last = self._window[0], self._window[-1]
        return (last[index] - first[index]) / max(last[0] - first[0], 1e-3)

    def _eta(self) -> int | None:
        if not self.listing_complete or not self._smooth:
            return None
        return round(max(0, self.found + self.pending - self.done) / self._smooth)

    def to_json(self) -> dict[str, Any]:
        """The job row's `sync`: the names of the schema's SyncProgress, and a few of ours."""
        return {
            "phase": self.phase.value, "listingComplete": self.listing_complete,
            "stalled": time.monotonic() - self._moved > STALLED_AFTER_SECONDS,
            "objectsFound": self.found + self.pending, "objectsPending": self.pending,
            "objectsFiltered": sum(self.filtered.values()),
            "objectsDuplicate": self.duplicate, "objectsUnchanged": self.unchanged,
            "objectsSynced": self.added + self.updated, "objectsFailed": self.failed, "objectsMissing": self.missing,
            "bytesFound": self.bytes_found, "bytesSynced": self.bytes_synced, "batchesCreated": self.batches,
            "rateLimitHits": self.rate_limit_hits, "objectsPerSecond": self._rate(1), "bytesPerSecond": self._rate(2),
            "etaSeconds": self._eta(), "currentObject": self.current_object, "lastErrors": list(self.last_errors),
            "startedAt": self.started_at, "updatedAt": now().isoformat(), "objectsAdded": self.added,
            "objectsUpdated": self.updated, "objectsRestored": self.restored, "filteredBy": dict(self.filtered),
            "dryRunReport": self.dry_run_report, "derivedAdditions": self.derived_additions,
        }  # fmt: skip

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Progress:
        """The counters as a checkpoint saved them; the pace starts anew."""
        return cls(
            phase=Phase(saved["phase"]), listing_complete=saved["listingComplete"],
            found=saved["objectsFound"] - saved["objectsPending"], filtered=dict(saved["filteredBy"]),
            duplicate=saved["objectsDuplicate"], unchanged=saved["objectsUnchanged"],
            added=saved["objectsAdded"], updated=saved["objectsUpdated"], restored=saved["objectsRestored"],
            failed=saved["objectsFailed"], missing=saved["objectsMissing"], bytes_found=saved["bytesFound"],
            bytes_synced=saved["bytesSynced"], batches=saved["batchesCreated"], rate_limit_hits=saved["rateLimitHits"],
            last_errors=deque(saved["lastErrors"], maxlen=MAX_LAST_ERRORS), started_at=saved["startedAt"],
            dry_run_report=saved["dryRunReport"], derived_additions=saved.get("derivedAdditions", False),
        )  # fmt: skip
