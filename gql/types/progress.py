"""The counters and pace of a sync run, as `models.jobs.Job.sync` keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry

from gql.scalars import BigInt
from gql.types.enums import OutcomeKind, SyncPhase


@strawberry.type(description="What became of one object in a run.")
class Outcome:
    """One object's outcome."""

    path: str = strawberry.field(description="Where the object is in the source.")
    row: int = strawberry.field(description="Which row of the file, from 0; 0 for a whole file.")
    kind: OutcomeKind = strawberry.field(description="What became of it.")
    message: str | None = strawberry.field(description="Why it failed.")
    at: datetime = strawberry.field(description="When.")


@strawberry.type(description="How many objects one rule left out.")
class FilterCount:
    """One rule and its count."""

    rule: str = strawberry.field(
        description="folder_marker: an empty object that stands for a folder; regex: regexFilter does not match;"
        " unsupported: useBlobUrls is false and this kind of file has no records; or a rule of the file filters, e.g."
        " include_patterns. The first that leaves an object out counts it."
    )
    objects: BigInt = strawberry.field(description="How many objects it left out.")


@strawberry.type(description="Absolute counters and pace of one run. Rates are over the last 10 seconds.")
class SyncProgress:
    """A run's progress."""

    phase: SyncPhase = strawberry.field(description="What the run is doing now.")
    listing_complete: bool = strawberry.field(
        description="Whether the whole source has been listed: objectsFound is final then."
    )
    stalled: bool = strawberry.field(description="Whether nothing has moved for a while, though the run goes on.")
    objects_found: BigInt = strawberry.field(description="Objects listed so far, whatever became of them.")
    objects_filtered: BigInt = strawberry.field(description="Objects that a rule left out.")
    objects_duplicate: BigInt = strawberry.field(
        description="Objects left out because the project has their content already."
    )
    objects_unchanged: BigInt = strawberry.field(
        description="Objects that are in the dataset as they are in the source."
    )
    objects_synced: BigInt = strawberry.field(description="Objects added or updated.")
    objects_failed: BigInt = strawberry.field(description="Objects, or rows of a file, that could not be imported.")
    objects_missing: BigInt = strawberry.field(description="Objects of the dataset that are no longer in the source.")
    bytes_found: BigInt = strawberry.field(description="Bytes of the objects listed so far.")
    bytes_synced: BigInt = strawberry.field(description="Bytes of the objects added or updated.")
    batches_created: int = strawberry.field(description="Batches written so far.")
    rate_limit_hits: int = strawberry.field(description="How often the provider asked the run to slow down.")
    objects_per_second: float | None = strawberry.field(
        description="Objects a second over the last 10 seconds; null before that is known."
    )
    bytes_per_second: float | None = strawberry.field(
        description="Bytes a second over the last 10 seconds; null before that is known."
    )
    eta_seconds: int | None = strawberry.field(
        description="Seconds that it will take from now; null until the listing is complete."
    )
    current_object: str | None = strawberry.field(description="The path that is being worked on.")
    last_errors: list[Outcome] = strawberry.field(description="The newest failures, at most 5.")
    started_at: datetime | None = strawberry.field(description="When the run started; null before.")
    updated_at: datetime = strawberry.field(description="When these counters were taken.")


_COUNTERS = (
    "objectsFound", "objectsFiltered", "objectsDuplicate", "objectsUnchanged", "objectsSynced", "objectsFailed",
    "objectsMissing", "bytesFound", "bytesSynced", "batchesCreated", "rateLimitHits",
)  # fmt: skip
_PACE = ("objectsPerSecond", "bytesPerSecond", "etaSeconds", "currentObject")


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


_ATTRIBUTES = {name: _snake(name) for name in (*_COUNTERS, *_PACE)}


def progress_of(row: Any) -> SyncProgress:
    """The progress of a job's row; all zero before it starts."""
    sync: Mapping[str, Any] = row.sync or {}
    errors: list[Mapping[str, Any]] = sync.get("lastErrors") or []
    values: dict[str, Any] = {_ATTRIBUTES[name]: sync.get(name) or 0 for name in _COUNTERS}
    values.update({_ATTRIBUTES[name]: sync.get(name) for name in _PACE})
    return SyncProgress(
        **values,
        phase=SyncPhase(sync.get("phase") or SyncPhase.QUEUED),
        listing_complete=bool(sync.get("listingComplete")),
        stalled=bool(sync.get("stalled")),
        last_errors=list(map(_to_outcome, errors)),
        started_at=_time(sync.get("startedAt")),
        updated_at=_time(sync.get("updatedAt")) or row.updated_at,
    )


def filter_counts_of(counts: Mapping[str, int]) -> list[FilterCount]:
    """The rules that left anything out, in the order of their names."""
    return [FilterCount(rule=rule, objects=objects) for rule, objects in sorted(counts.items())]


def _to_outcome(error: Mapping[str, Any]) -> Outcome:
    return Outcome(
        path=error["path"],
        row=error.get("row") or 0,
        kind=OutcomeKind(error.get("kind") or OutcomeKind.FAILED),
        message=error.get("message"),
        at=datetime.fromisoformat(error["at"]),
    )


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
