"""Jobs: listed, started and signalled."""

from __future__ import annotations

from models import job_queries
from models.jobs import Job
from models.pagination import Page, PageRequest, SortKey
from resolvers.access import Viewer
from resolvers.services import Services


async def list_jobs(
    services: Services,
    viewer: Viewer,
    request: PageRequest,
    *,
    criteria: job_queries.JobCriteria,
    keys: tuple[SortKey, ...] = (),
) -> Page[Job]:
    """A page of the namespace's jobs."""
    async with services.database.read(viewer.namespace.id) as session:
        return await job_queries.list_jobs(session, request, criteria=criteria, keys=keys)


async def count_jobs(services: Services, viewer: Viewer, criteria: job_queries.JobCriteria) -> int:
    """How many jobs the namespace has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await job_queries.count_jobs(session, criteria)
