"""The demo's last page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Run:
    """A finished sync: the job's last state, how many states the subscription brought, seconds from request to end."""

    job: dict[str, Any]
    events: int
    seconds: float

    @property
    def found(self) -> int:
        """Objects in the bucket."""
        return self._count("objectsFound")

    @property
    def synced(self) -> int:
        """Objects added or updated."""
        return self._count("objectsSynced")

    @property
    def unchanged(self) -> int:
        """Objects that were there as they are."""
        return self._count("objectsUnchanged")

    @property
    def missing(self) -> int:
        """Objects that are no longer in the bucket."""
        return self._count("objectsMissing")

    def _count(self, name: str) -> int:
        return int(self.job["sync"][name])


def print_summary(console: Console, runs: Mapping[str, Run], stats: Mapping[str, Any]) -> None:
    """What each sync did, and what the dataset has now."""
    from rich.table import Table

    table = Table("sync", "found", "synced", "unchanged", "missing", "seconds", "live updates")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, run in runs.items():
        counts = (run.found, run.synced, run.unchanged, run.missing)
        table.add_row(name, *(f"{count:,}" for count in counts), f"{run.seconds:.1f}", str(run.events))
    console.print(table)
    kinds = ", ".join(
        f"{int(part['objects']):,} {part['modality'].lower()}"
        for part in sorted(stats["byModality"], key=lambda part: -int(part["objects"]))
    )
    console.print(
        f"The dataset: {int(stats['objects']):,} objects, {int(stats['bytes']) / 1e6:.0f} MB ({kinds}); "
        f"{int(stats['missing']):,} marked missing.",
        highlight=False,
    )
