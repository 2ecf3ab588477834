"""Sync configurations: what of a storage goes into a project, how and when, and how that is going."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.inputs.dead_letters import DeadLetterFilterArgument
from gql.inputs.filters import JobFilterArgument, job_criteria
from gql.pagination import After, Connection, First, nested
from gql.scalars import JSON, BigInt
from gql.types.access import Actor
from gql.types.batches import Batch, batches_of_config
from gql.types.dead_letters import DeadLetter, dead_letters_of_config
from gql.types.file_filters import FileFilters, file_filters_view
from gql.types.jobs import Job, SyncJob, job_of
from gql.types.node import Node, RowView
from gql.types.schema_mapping import SchemaMapping, schema_mapping_view
from gql.types.storages import Storage, storage_of
from gql.types.sync_enums import OnDelete, OnUpdate, SyncConfigStatus, SyncMode, WebhookEvent
from gql.types.sync_state import (
    SyncHealth,
    SyncLock,
    SyncPause,
    SyncResume,
    SyncTotals,
    health_of,
    lock_of,
    pause_of,
    resume_of,
    totals_of,
)
from models import job_queries
from models.pagination import PageRequest
from resolvers.health import health
from sluicegate.core import actors
from sluicegate.core.clock import now

if TYPE_CHECKING:
    from gql.types.projects import Project
    from models.jobs import Job as JobRow
    from models.sync_configs import SyncConfig as SyncConfigRow


@strawberry.type(description="Where a configuration's events are sent; its secret never comes out again.")
class Webhook:
    """A configuration's webhook."""

    url: str = strawberry.field(description="Where they are sent by POST, signed as Standard Webhooks says.")
    events: list[WebhookEvent] = strawberry.field(description="Which.")


def _webhook(row: SyncConfigRow) -> Webhook | None:
    if row.webhook_url is None:
        return None
    return Webhook(url=row.webhook_url, events=[WebhookEvent(event) for event in row.webhook_events])


def _created_by(row: SyncConfigRow) -> Actor:
    return Actor.of(actors.Actor(actors.ActorKind(row.created_by_kind), row.created_by_id, row.created_by_name))


@strawberry.type(description="A part of a storage that is kept in sync with a dataset, by rules of its own.")
class SyncConfig(RowView, Node):
    """A configuration's row."""

    row_kind: ClassVar[str] = "SyncConfig"
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "file_filters": lambda row: None if row.file_filters is None else file_filters_view(row.file_filters),
        "schema_mapping": lambda row: None if row.schema_mapping is None else schema_mapping_view(row.schema_mapping),
        "metadata": lambda row: row.custom_metadata,
        "webhook": _webhook,
        "totals": totals_of,
        "pause": pause_of,
        "created_by": _created_by,
    }

    name: str = strawberry.field(description="For people; at most 256 characters.")
    source_path: str = strawberry.field(description="Where in the source it reads, in the provider's sourcePathFormat.")
    mode: SyncMode = strawberry.field(description="When it runs by itself.")
    status: SyncConfigStatus = strawberry.field(description="Where it is.")
    is_active: bool = strawberry.field(description="Whether it runs, or will by itself: PENDING, ACTIVE, IN_PROGRESS.")
    file_filters: FileFilters | None = strawberry.field(description="Which files it takes; null: all.")
    schema_mapping: SchemaMapping | None = strawberry.field(
        description="What it makes of each object; null: the file is blob content, and no fields."
    )
    metadata: JSON = strawberry.field(description="The owner's own keys and values: an object.")
    webhook: Webhook | None = strawberry.field(description="Where its events are sent; null: nowhere.")
    polling_interval_seconds: int = strawberry.field(description="Seconds between two runs: 30 to 900.")
    cron: str | None = strawberry.field(
        description="When it runs, in five fields; wins over the interval. SCHEDULED alone has one."
    )
    time_zone: str | None = strawberry.field(description="Where cron's hours are, e.g. Europe/Berlin.")
    batch_size: int = strawberry.field(description="Objects of a batch: 1 to 100.")
    batch_chunk_size: int = strawberry.field(
        description="Objects whose tags, metadata and hashes are fetched together: 1 to 1,000."
    )
    max_objects_per_run: int | None = strawberry.field(
        description="A run ends after so many objects, and the next goes on; null: no limit."
    )
    checkpoint_frequency: int = strawberry.field(description="Objects between two checkpoints: 100 to 10,000.")
    skip_duplicates: bool = strawberry.field(description="Whether content that the project has already is left out.")
    skip_batch_submission: bool = strawberry.field(description="Whether no batches are made.")
    require_confirmation: bool = strawberry.field(
        description="Whether what runs find waits, as STAGED, for confirmSync."
    )
    use_blob_urls: bool = strawberry.field(
        description="true: an object is a file, linked to. false: files of records are read, an object is a record."
    )
    on_update: OnUpdate = strawberry.field(description="What becomes of an object that changed in its source.")
    on_delete: OnDelete = strawberry.field(description="What becomes of an object that is gone from its source.")
    max_missing_fraction: float = strawberry.field(
        description="0 to 1: a run that would miss more than this of over 100 objects fails with LIMIT instead."
    )
    revision: BigInt = strawberry.field(
        description="Grows with every change of its own: order and de-duplicate by it. Its currentJob has one too."
    )
    totals: SyncTotals = strawberry.field(description="Sums over its runs.")
    pause: SyncPause | None = strawberry.field(description="Who paused it; null: nobody.")
    run_number: int = strawberry.field(description="How many runs it has begun.")
    last_sync_at: datetime | None = strawberry.field(description="When a run last ended well; null before the first.")
    next_sync_at: datetime | None = strawberry.field(
        description="When the next run is due; null when none will start by itself."
    )
    last_error: str | None = strawberry.field(
        description="What the last failed run met, without secrets; null after a success."
    )
    consecutive_failures: int = strawberry.field(description="Failed runs in a row; 5 suspend it.")
    created_by: Actor = strawberry.field(description="Who made it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When its row last changed.")

    @strawberry.field(description="The dataset that it fills.")
    async def project(self, info: Info) -> Annotated[Project, strawberry.lazy("gql.types.projects")]:
        """The project."""
        from gql.types.projects import Project as ProjectType

        return ProjectType.of(await info.context.loaders.projects.load(self.row.project_id))

    @strawberry.field(description="What it reads; an archived storage too.")
    async def storage(self, info: Info) -> Storage:
        """The storage."""
        return storage_of(await info.context.loaders.storages.load(self.row.storage_id))

    @strawberry.field(description="The lease of the run that is under way; null when none is.")
    async def lock(self, info: Info) -> SyncLock | None:
        """The current job's lease."""
        return lock_of(await _job(self, info, self.row.current_job_id))

    @strawberry.field(description="Where a run that is cut off goes on.")
    async def resume(self, info: Info) -> SyncResume:
        """The checkpoint of the current run, else of the last."""
        number = self.row.current_job_id or self.row.last_job_id
        checkpoint = None if number is None else await info.context.loaders.checkpoints.load(number)
        return resume_of(self.row, await _job(self, info, number), checkpoint)

    @strawberry.field(description="Whether it does what it is there for.")
    async def health(self, info: Info) -> SyncHealth:
        """Judged when it is asked for."""
        job = await _job(self, info, self.row.current_job_id)
        quarantined = await info.context.loaders.quarantined.load(self.row.id)
        webhook = await info.context.loaders.webhook_failures.load(self.row.id)
        return health_of(health(self.row, job, webhook, at=now()), quarantined)

    @strawberry.field(description="The run that waits or is under way; null when none does.")
    async def current_job(self, info: Info) -> SyncJob | None:
        """The current run's job; in a subscription as live as the job's own."""
        row = await _job(self, info, self.row.current_job_id)
        return None if row is None else SyncJob.of(row)

    @strawberry.field(description="Its last run that wrote: the one under way, else the last that ended.")
    async def last_job(self, info: Info) -> SyncJob | None:
        """The last run's job; None before the first."""
        row = await _job(self, info, self.row.last_job_id)
        return None if row is None else SyncJob.of(row)

    @strawberry.field(description="Its jobs, newest first; dry runs too.")
    async def jobs(
        self, info: Info, first: First = None, after: After = None, filter: JobFilterArgument = None
    ) -> Connection[Job]:
        """A page of its jobs."""
        request, criteria = PageRequest(first, after), job_criteria(filter)
        return await nested(
            info.context.loaders,
            self.row.id,
            "syncConfig.jobs",
            (request, criteria),
            job_of,
            partial(job_queries.jobs_of_sync_configs, request=request, criteria=criteria),
            partial(job_queries.count_jobs_of_sync_configs, criteria=criteria),
        )

    @strawberry.field(description="The batches of its runs, newest first.")
    async def batches(self, info: Info, first: First = None, after: After = None) -> Connection[Batch]:
        """A page of its batches."""
        return await batches_of_config(info, self.row.id, first, after)

    @strawberry.field(description="Records that its runs could not take, newest first.")
    async def dead_letters(
        self, info: Info, first: First = None, after: After = None, filter: DeadLetterFilterArgument = None
    ) -> Connection[DeadLetter]:
        """A page of its dead letters."""
        return await dead_letters_of_config(info, self.row.id, first, after, filter)


def sync_config_of(row: SyncConfigRow, job: JobRow | None = None) -> SyncConfig:
    """The public type of a configuration's row. `job`: its current one, newer than its row says."""
    view = SyncConfig.of(row)
    if job is not None:
        view.__dict__["live_job"] = job
    return view


async def _job(view: SyncConfig, info: Info, number: int | None) -> JobRow | None:
    """One of its jobs, by the state that a subscription brought where there is one."""
    live: JobRow | None = view.__dict__.get("live_job")
    if number is None or (live is not None and live.id == number):
        return live if number is not None else None
    return await info.context.loaders.jobs.load(number)
