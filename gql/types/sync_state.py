"""How a sync configuration is doing: its totals, who holds it, where it goes on, and whether it is well."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import strawberry

from gql.scalars import JSON, BigInt
from gql.types.access import Actor
from sluicegate.core import actors

if TYPE_CHECKING:
    from models.jobs import Job as JobRow
    from models.objects import Checkpoint
    from models.sync_configs import SyncConfig as SyncConfigRow
    from resolvers.health import Health


@strawberry.type(description="Sums over all runs of a configuration that wrote; dry runs are not in them.")
class SyncTotals:
    """A configuration's sums."""

    skipped_runs: BigInt = strawberry.field(description="Runs that were due while another one was still under way.")
    duration_seconds: float = strawberry.field(description="Seconds from start to end of each run.")
    rate_limit_hits: BigInt = strawberry.field(description="How often the provider asked a run to slow down.")
    found: BigInt = strawberry.field(description="Objects listed, whatever became of them.")
    synced: BigInt = strawberry.field(description="Objects added or updated.")
    failed: BigInt = strawberry.field(description="Objects, or rows of a file, that could not be imported.")
    bytes: BigInt = strawberry.field(description="Bytes of the objects added or updated.")
    batches: BigInt = strawberry.field(description="Batches made.")


@strawberry.type(description="The lease of the run that is under way: no other one writes while it lasts.")
class SyncLock:
    """A run's lease."""

    worker_id: str = strawberry.field(description="The worker that holds it.")
    acquired_at: datetime = strawberry.field(description="When that worker took it.")
    expires_at: datetime = strawberry.field(
        description="When another worker may take it, unless it is renewed before: a run at work does so all the time."
    )


@strawberry.type(description="Who stopped it, when and why.")
class SyncPause:
    """A pause."""

    reason: str = strawberry.field(description="As it was given; may be empty.")
    paused_at: datetime = strawberry.field(description="When.")
    paused_by: Actor = strawberry.field(description="Who.")


@strawberry.type(description="Where a run that does not get to its end goes on.")
class SyncResume:
    """The checkpoint of the current run, else of the last."""

    enabled: bool = strawberry.field(
        description="Whether a run that was cut off goes on from its checkpoint; else it begins anew."
    )
    cursor: JSON | None = strawberry.field(
        description="The provider's position in the listing at the last checkpoint; null when there is none to go on "
        "from. Its form is the provider's own and may change."
    )
    last_primary_key: JSON | None = strawberry.field(
        description="The key of the last row that is through, of sources that are tables; null for files, whose order "
        "is in the cursor."
    )
    objects_processed: BigInt = strawberry.field(description="Objects that the current run, else the last, is through.")
    checkpointed_at: datetime | None = strawberry.field(description="When the checkpoint was written.")


@strawberry.type(description="Whether a configuration does what it is there for.")
class SyncHealth:
    """A configuration's health."""

    healthy: bool = strawberry.field(
        description="Neither stale nor stalled, not suspended, the last run did not fail, and its webhook takes its "
        "messages. What is not to run (DRAFT, PAUSED, ARCHIVED) is healthy."
    )
    stale: bool = strawberry.field(
        description="No run ended well within the last two intervals, or the last two times of its cron, and a minute; "
        "a run that is under way and moves is waited for."
    )
    stalled: bool = strawberry.field(
        description="The run under way has not moved for 30 seconds, or its worker has not been heard of."
    )
    reason: str | None = strawberry.field(description="Why it is not healthy; null when it is.")
    lag_seconds: float | None = strawberry.field(
        description="Seconds since a run last ended well; null before the first."
    )
    failure_rate: float = strawberry.field(
        description="0 to 1: of the records that all its runs tried to import, those that failed."
    )
    dead_letters: BigInt = strawberry.field(description="Records that wait for a decision: those QUARANTINED.")


def totals_of(row: SyncConfigRow) -> SyncTotals:
    """The sums in a configuration's row."""
    return SyncTotals(
        skipped_runs=row.skipped_runs,
        duration_seconds=row.duration_seconds,
        rate_limit_hits=row.rate_limit_hits,
        found=row.total_found,
        synced=row.total_synced,
        failed=row.total_failed,
        bytes=row.total_bytes,
        batches=row.total_batches,
    )


def lock_of(job: JobRow | None) -> SyncLock | None:
    """The lease that a configuration's current job has; None where none is held."""
    if job is None or job.worker_id is None or job.lease_expires_at is None:
        return None
    acquired = job.claimed_at or job.started_at or job.updated_at
    return SyncLock(worker_id=job.worker_id, acquired_at=acquired, expires_at=job.lease_expires_at)


def pause_of(row: SyncConfigRow) -> SyncPause | None:
    """Who stopped it; None where nobody did."""
    if row.paused_at is None:
        return None
    by: Mapping[str, Any] = row.paused_by or {}
    actor = actors.Actor(actors.ActorKind(by.get("kind", actors.ActorKind.SYSTEM)), by.get("id"), by.get("name", ""))
    return SyncPause(reason=row.pause_reason or "", paused_at=row.paused_at, paused_by=Actor.of(actor))


def resume_of(row: SyncConfigRow, job: JobRow | None, checkpoint: Checkpoint | None) -> SyncResume:
    """Where the configuration's run goes on. `job`: the current one, else the last."""
    state: Mapping[str, Any] = {} if checkpoint is None else checkpoint.state
    counted: Mapping[str, Any] = state.get("progress") or (None if job is None else job.sync) or {}
    return SyncResume(
        enabled=row.resume_enabled,
        cursor=state.get("cursor"),
        last_primary_key=None,
        objects_processed=sum(counted.get(name) or 0 for name in _THROUGH),
        checkpointed_at=None if checkpoint is None else checkpoint.updated_at,
    )


_THROUGH = ("objectsFiltered", "objectsDuplicate", "objectsUnchanged", "objectsSynced", "objectsFailed")


def health_of(found: Health, quarantined: int) -> SyncHealth:
    """The public form of a configuration's health."""
    return SyncHealth(
        healthy=found.healthy,
        stale=found.stale,
        stalled=found.stalled,
        reason=found.reason,
        lag_seconds=found.lag_seconds,
        failure_rate=found.failure_rate,
        dead_letters=quarantined,
    )
