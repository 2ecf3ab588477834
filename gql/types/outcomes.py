"""What became of the records of a run, as a list of its job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import strawberry

from gql.content import base_url
from gql.context import Info
from gql.pagination import Connection, connect
from gql.types.enums import OutcomeKind
from gql.types.progress import Outcome
from models import outcome_queries
from models.outcome_queries import OutcomeRow
from models.pagination import PageRequest
from resolvers import outcomes

if TYPE_CHECKING:
    from models.jobs import Job

Kinds = Annotated[
    list[OutcomeKind] | None, strawberry.argument(description="Only these kinds; null or none: every kind.")
]


def outcome_of(row: OutcomeRow) -> Outcome:
    """The public form of an outcome."""
    return Outcome(path=row.path, row=row.row, kind=OutcomeKind(row.kind), message=row.message, at=row.at)


async def outcomes_of(
    info: Info, job: Job, first: int | None, after: str | None, kinds: list[OutcomeKind] | None
) -> Connection[Outcome]:
    """A page of a job's outcomes, with those of other jobs in one statement."""
    request, wanted = PageRequest(first, after), tuple(sorted({kind.value for kind in kinds or ()})) or None
    query = partial(outcome_queries.outcomes_of_jobs, request=request, kinds=wanted)
    page = await info.context.loaders.of("job.outcomes", (request, wanted), query).load(job.id)

    async def count() -> int:
        return outcome_queries.count_outcomes(job, wanted)

    return connect(page, outcome_of, count)


def outcomes_url_of(info: Info, job: Job) -> str:
    """A link to all outcomes of a job."""
    context = info.context
    return outcomes.outcomes_url(context.services, context.viewer, job, base_url(context.services, context.request))
