"""signalJob."""

from __future__ import annotations

import strawberry

from gql.context import Info
from gql.errors import payload
from gql.types.enums import JobSignal
from gql.types.errors import UserError
from gql.types.jobs import Job, job_of
from models.job_state import JobSignal as Signal
from resolvers import jobs


@strawberry.input(description="What a job is to do. A state that does not allow it is CONFLICT.")
class SignalJobInput:
    """Which job, and what."""

    id: strawberry.ID = strawberry.field(description="Which job.")
    signal: JobSignal = strawberry.field(description="What it is to do.")
    reason: str = strawberry.field(default="", description="For those who ask later; at most 1,000 characters.")


@strawberry.type(description="The job as it is now.")
class JobPayload:
    """The answer of signalJob."""

    job: Job | None = strawberry.field(default=None, description="Null when there was an error.")
    errors: list[UserError] = strawberry.field(default_factory=list[UserError], description="What went wrong.")


@payload(JobPayload)
async def signal_job(info: Info, input: SignalJobInput) -> JobPayload:
    """Signals a job."""
    changed = await jobs.signal_job(
        info.context.services, info.context.viewer, input.id, Signal(input.signal), input.reason
    )
    return JobPayload(job=job_of(changed))
