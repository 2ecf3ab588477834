"""retryDeadLetters."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.inputs.dead_letters import DeadLetterFilter, dead_letter_criteria
from gql.types.errors import UserError
from gql.types.jobs import SyncJob
from resolvers import dead_letters


@strawberry.input(description="Which dead letters. One of ids and filter is required.")
class DeadLettersInput:
    """Some, or all that meet a filter."""

    ids: list[strawberry.ID] | None = strawberry.field(default=None, description="These, at most 1,000.")
    filter: DeadLetterFilter | None = strawberry.field(
        default=None, description="All that meet this; {} is every one of the namespace."
    )

    @property
    def choice(self) -> dead_letters.Choice:
        """What it means. Raises InvalidError, NotFoundError."""
        return dead_letters.choice(self.ids, None if self.filter is None else dead_letter_criteria(self.filter))


@strawberry.type(description="How many dead letters were changed, and who looks at them.")
class DeadLettersPayload:
    """The answer of retryDeadLetters and discardDeadLetters."""

    count: int = strawberry.field(default=0, description="How many were changed; settled ones are left as they are.")
    job: SyncJob | None = strawberry.field(
        default=None, description="The run that looks at them; null when there is none, or more than one."
    )
    jobs: list[SyncJob] = strawberry.field(
        default_factory=list[SyncJob],
        description="The runs that look at them, one for each configuration or storage. One that was under way already "
        "leaves what it has passed to the next.",
    )
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(DeadLettersPayload)
async def retry_dead_letters(info: Info, input: DeadLettersInput) -> DeadLettersPayload:
    """Has dead letters tried again."""
    decided = await dead_letters.retry(info.context.services, info.context.viewer, input.choice)
    jobs = [SyncJob.of(job) for job in decided.jobs]
    return DeadLettersPayload(count=decided.count, job=jobs[0] if len(jobs) == 1 else None, jobs=jobs)
