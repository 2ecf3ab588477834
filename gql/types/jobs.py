"""Jobs: background work that one can watch, list and signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.pagination import After, Connection, First
from gql.scalars import BigInt
from gql.types.access import Actor
from gql.types.batches import Batch, batches_of_job
from gql.types.enums import JobStatus, JobTrigger
from gql.types.node import Node, RowView, optional
from gql.types.outcomes import Kinds, outcomes_of, outcomes_url_of
from gql.types.previews import DryRunReport, dry_run_report_of
from gql.types.progress import Outcome, SyncProgress, progress_of
from sluicegate.core import actors
from sluicegate.core.clock import now

if TYPE_CHECKING:
    from gql.types.storages import Storage
    from gql.types.sync_configs import SyncConfig
    from models.jobs import Job as JobRow

_SYNC_CLASSES = frozenset({"SYNC_STORAGE", "SYNC_CONFIG", "CONFIRM_SYNC"})


@strawberry.type(description="Why a job ended early, or why it is tried again.")
class JobError:
    """A job's error."""

    type: str = strawberry.field(description="The kind of error: one of ErrorCode, or the name of an internal error.")
    message: str = strawberry.field(description="For people; never a secret.")
    provider_code: str | None = strawberry.field(description="The provider's own code, e.g. NoSuchBucket.")
    hint: str | None = strawberry.field(description="What may help.")


def _error(row: JobRow) -> JobError | None:
    error = row.error
    if error is None:
        return None
    return JobError(
        type=error["type"], message=error["message"], provider_code=error.get("providerCode"), hint=error.get("hint")
    )


def _duration(row: JobRow) -> float | None:
    if row.started_at is None:
        return None
    return max(0.0, ((row.finished_at or now()) - row.started_at).total_seconds())


def _created_by(row: JobRow) -> Actor:
    return Actor.of(actors.Actor(actors.ActorKind(row.created_by_kind), row.created_by_id, row.created_by_name))


@strawberry.interface(description="A piece of background work.")
class Job(RowView, Node):
    """Any job's row."""

    row_kind: ClassVar[str] = "Job"
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "error": _error,
        "duration_seconds": _duration,
        "created_by": _created_by,
        "sync": progress_of,
        "dry_run": lambda row: bool(row.payload.get("dryRun")),
        "dry_run_report": dry_run_report_of,
    }

    job_class: str = strawberry.field(description="What kind of work it is, e.g. SYNC_STORAGE.")
    priority: int = strawberry.field(description="-100 to 100; higher goes first.")
    status: JobStatus = strawberry.field(description="Where the job is.")
    progress: float | None = strawberry.field(description="0 to 1; null while the total is unknown.")
    retry_count: int = strawberry.field(description="How often it was started again after an error that may pass.")
    max_retries: int = strawberry.field(description="After so many retries the job fails.")
    duration_seconds: float | None = strawberry.field(
        description="Seconds since it started, until it finished; null before."
    )
    error: JobError | None = strawberry.field(description="The last error; null when there was none.")
    unicity: str | None = strawberry.field(description="Only one unfinished job of the namespace has this text.")
    scheduled_at: datetime | None = strawberry.field(description="When it was asked to start; null is at once.")
    created_at: datetime = strawberry.field(description="When it was asked for.")
    updated_at: datetime = strawberry.field(description="When its row last changed.")
    started_at: datetime | None = strawberry.field(description="When a worker first took it.")
    finished_at: datetime | None = strawberry.field(description="When it ended; null before.")
    created_by: Actor = strawberry.field(description="Who asked for it.")
    revision: BigInt = strawberry.field(description="Grows with every change: order and de-duplicate by it.")


@strawberry.type(description="A sync: of a storage by itself, or of a sync configuration.")
class SyncJob(Job):
    """The job of one run, or of the confirmation of one."""

    trigger: JobTrigger = strawberry.field(description="What started it.")
    dry_run: bool = strawberry.field(description="Whether it only reports what a sync would do.")
    run_id: str = strawberry.field(description="Names the run in logs.")
    sync: SyncProgress = strawberry.field(description="Its counters and pace; all zero before it starts.")
    dry_run_report: DryRunReport | None = strawberry.field(
        description="What a sync would do; of a finished dry run only."
    )

    @strawberry.field(
        description="What became of single records, as the run met them: of those that were unchanged or left out, "
        "only counts are kept. What the first sync of a place added comes in the order of the source."
    )
    async def outcomes(
        self, info: Info, first: First = None, after: After = None, kinds: Kinds = None
    ) -> Connection[Outcome]:
        """A page of its outcomes."""
        return await outcomes_of(info, self.row, first, after, kinds)

    @strawberry.field(description="All outcomes as NDJSON, to be downloaded; the link works for 15 minutes.")
    def outcomes_url(self, info: Info) -> str:
        """A signed link."""
        return outcomes_url_of(info, self.row)

    @strawberry.field(description="Its batches, by number.")
    async def batches(self, info: Info, first: First = None, after: After = None) -> Connection[Batch]:
        """A page of its batches."""
        return await batches_of_job(info, self.row.id, first, after)

    @strawberry.field(description="What is synced; an archived storage too.")
    async def storage(self, info: Info) -> Annotated[Storage, strawberry.lazy("gql.types.storages")]:
        """The storage."""
        from gql.types.storages import storage_of

        return storage_of(await info.context.loaders.storages.load(self.row.storage_id))

    @strawberry.field(description="Whose run it is; null for a storage's own, and when the configuration is deleted.")
    async def sync_config(self, info: Info) -> Annotated[SyncConfig, strawberry.lazy("gql.types.sync_configs")] | None:
        """The configuration."""
        from gql.types.sync_configs import sync_config_of

        if self.row.sync_config_id is None:
            return None
        return optional(sync_config_of, await info.context.loaders.sync_configs.load(self.row.sync_config_id))


@strawberry.type(description="Work on the gateway's own data, such as removing a deleted project.")
class MaintenanceJob(Job):
    """Any other job."""


def job_of(row: JobRow) -> Job:
    """The public type of a job's row."""
    return SyncJob.of(row) if row.job_class in _SYNC_CLASSES else MaintenanceJob.of(row)
