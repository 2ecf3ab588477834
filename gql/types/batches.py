"""Batches: the objects that a run of a configuration wrote, so many at a time, as its webhook is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.pagination import Connection, nested
from gql.types.enums import show
from gql.types.node import Node, RowView
from models import delivery_queries
from models.deliveries import BatchStatus
from models.pagination import PageRequest

if TYPE_CHECKING:
    from gql.types.jobs import SyncJob

show(
    BatchStatus,
    {
        "PENDING": "To be delivered: it may still grow, wait for confirmation, or be tried again.",
        "DELIVERED": "The webhook took it.",
        "FAILED": "The webhook never took it.",
        "SKIPPED": "Nobody asked for it: no webhook, or not for BATCH_READY.",
    },
    description="Where a batch is.",
)


@strawberry.type(description="Objects that a run added or updated, at most batchSize, in the order that it wrote them.")
class Batch(RowView, Node):
    """A batch's row."""

    row_kind: ClassVar[str] = "Batch"
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "number": lambda row: row.batch_number,
        "task_id": lambda row: row.message_id,
    }

    number: int = strawberry.field(description="Counts from 1 in its run.")
    task_id: strawberry.ID | None = strawberry.field(
        description="The id of its message, the same in each attempt; null when it is skipped."
    )
    object_count: int = strawberry.field(description="How many objects it has.")
    status: BatchStatus = strawberry.field(description="Where it is.")
    attempts: int = strawberry.field(description="How often it was sent.")
    last_error: str | None = strawberry.field(description="Why the last attempt failed; null when it did not.")
    created_at: datetime = strawberry.field(description="When its first object was written.")
    delivered_at: datetime | None = strawberry.field(description="When the webhook took it; null before.")

    @strawberry.field(description="Whose objects they are.")
    async def job(self, info: Info) -> Annotated[SyncJob, strawberry.lazy("gql.types.jobs")] | None:
        """The run."""
        from gql.types.jobs import SyncJob as Type

        row = await info.context.loaders.jobs.load(self.row.job_id)
        return None if row is None else Type.of(row)


async def batches_of_job(info: Info, job_id: int, first: int | None, after: str | None) -> Connection[Batch]:
    """A page of a job's batches."""
    request = PageRequest(first, after)
    return await nested(
        info.context.loaders,
        job_id,
        "job.batches",
        request,
        Batch.of,
        partial(delivery_queries.batches_of_jobs, request=request),
        delivery_queries.count_batches_of_jobs,
    )


async def batches_of_config(info: Info, config_id: int, first: int | None, after: str | None) -> Connection[Batch]:
    """A page of a configuration's batches."""
    request = PageRequest(first, after)
    return await nested(
        info.context.loaders,
        config_id,
        "syncConfig.batches",
        request,
        Batch.of,
        partial(delivery_queries.batches_of_configs, request=request),
        delivery_queries.count_batches_of_configs,
    )
