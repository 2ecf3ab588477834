"""Live states: the state as it is, then each later one (the newest, for a slow client), until the end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from gql.context import Info
from gql.inputs.dead_letters import DeadLetterFilterArgument, dead_letter_criteria
from gql.permissions import Scope, requires
from gql.queries import Id
from gql.types.dead_letters import DeadLetterEvent, dead_letter_event
from gql.types.jobs import Job, job_of
from gql.types.storages import Storage, storage_of
from gql.types.sync_configs import SyncConfig, sync_config_of
from resolvers import watching, watching_lists

SnapshotSize = Annotated[
    int,
    strawberry.argument(description="The newest so many to begin with, in the order that they came; at most 1,000."),
]


@strawberry.type(
    description="Each sends the state as it is first, then each later state (the newest, for a slow client), and "
    "completes when the thing is finished or deleted."
)
class Subscription:
    """The root of subscriptions."""

    @strawberry.subscription(description="A job, until it is finished.", extensions=requires(Scope.READ))
    async def job(self, info: Info, id: Id) -> AsyncGenerator[Job]:
        """A job's states."""
        async for row in watching.watch_job(info.context.services, info.context.viewer, id):
            yield job_of(row)

    @strawberry.subscription(description="A storage, until it is deleted.", extensions=requires(Scope.READ))
    async def storage(self, info: Info, id: Id) -> AsyncGenerator[Storage]:
        """A storage's states."""
        async for row in watching.watch_storage(info.context.services, info.context.viewer, id):
            yield storage_of(row)

    @strawberry.subscription(
        description="A sync configuration with its current job as it goes, until it is archived or deleted.",
        extensions=requires(Scope.READ),
    )
    async def sync_config(self, info: Info, id: Id) -> AsyncGenerator[SyncConfig]:
        """A configuration's states."""
        async for row, job in watching.watch_sync_config(info.context.services, info.context.viewer, id):
            yield sync_config_of(row, job)

    @strawberry.subscription(
        description="Dead letters: those that there are, then each change, also when one meets the filter no longer.",
        extensions=requires(Scope.READ),
    )
    async def dead_letters(
        self, info: Info, filter: DeadLetterFilterArgument = None, first: SnapshotSize = 100
    ) -> AsyncGenerator[DeadLetterEvent]:
        """The changes of the list."""
        async for change in watching_lists.watch_dead_letters(
            info.context.services, info.context.viewer, criteria=dead_letter_criteria(filter), first=first
        ):
            yield dead_letter_event(change)
