"""A dry run's report: what would change, with the first few objects of each kind."""

from __future__ import annotations

from typing import Any

from sluicegate.core.clock import from_micros
from sluicegate.providers.base import Entry
from sluicegate.sync.progress import Progress

MAX_SAMPLES = 25


class Sampler:
    """Collects samples into the run's report; does nothing unless enabled."""

    def __init__(self, progress: Progress, *, enabled: bool) -> None:
        self._samples: list[dict[str, Any]] | None = None
        if enabled:
            if progress.dry_run_report is None:
                progress.dry_run_report = {"samples": []}
            self._samples = progress.dry_run_report["samples"]

    def imported(self, entry: Entry, path: str) -> None:
        """An object that the run would write."""
        if self._samples is not None and len(self._samples) < MAX_SAMPLES:
            self._samples.append(sample(entry, path, None))

    def filtered(self, entry: Entry, path: str, rule: str) -> None:
        """An object that a rule leaves out."""
        if self._samples is not None and len(self._samples) < MAX_SAMPLES:
            self._samples.append(sample(entry, path, rule))


def sample(entry: Entry, path: str, rule: str | None) -> dict[str, Any]:
    """One object of a listing as a PreviewItem."""
    return {
        "path": path,
        "sizeBytes": entry.size,
        "modifiedAt": None if entry.modified is None else from_micros(entry.modified).isoformat(),
        "imported": rule is None,
        "filteredBy": rule,
    }


def report(progress: Progress) -> dict[str, Any]:
    """The finished DryRunReport."""
    return {
        "added": progress.added, "updated": progress.updated, "missing": progress.missing,
        "unchanged": progress.unchanged,
        "filtered": [{"rule": rule, "objects": count} for rule, count in sorted(progress.filtered.items())],
        "samples": (progress.dry_run_report or {}).get("samples", []),
    }  # fmt: skip
