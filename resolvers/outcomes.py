"""All outcomes of a job as a file: who may have it, a link to it, and its lines."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from models import job_queries, outcome_queries
from models.access_queries import key_by_id
from models.database import ALL
from models.jobs import Job
from models.outcome_queries import OutcomeRow
from models.pagination import PageRequest
from resolvers.content_links import ContentLink, digest_of, sign, verify
from resolvers.keys import is_usable
from sluicegate.core.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from sluicegate.core.ids import decode_id, encode_id

if TYPE_CHECKING:
    from resolvers.access import Viewer
    from resolvers.services import Services

PURPOSE = "outcomes-link"
LINK_SECONDS = 15 * 60
"""How long a link works: a download that has begun goes on."""
PAGE = 1_000
"""Outcomes that are held at a time."""
CHECK_SECONDS = 2.0
"""How often a download asks whether its key is still good."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody may read one job's outcomes. `digest`: of the run that a link was made for, None without a link."""

    namespace_id: int
    job_id: int
    key_id: int
    digest: bytes | None = None


def outcomes_url(services: Services, viewer: Viewer, job: Job, base_url: str) -> str:
    """A signed link through the gateway that works for 15 minutes."""
    link = ContentLink(viewer.namespace.id, viewer.key_id, int(time.time()) + LINK_SECONDS, digest_of(job.run_id))
    text = sign(services.secrets, job.id, link, purpose=PURPOSE)
    return f"{base_url.rstrip('/')}/jobs/{encode_id('Job', job.id)}/outcomes?link={text}"


async def grant_by_link(services: Services, global_id: str, text: str) -> Grant:
    """What a link allows now. Raises ForbiddenError that does not say why, and NotFoundError for what is no id."""
    number = decode_id(global_id, "Job")
    link = verify(services.secrets, number, text, now_seconds=time.time(), purpose=PURPOSE)
    if link is not None:
        grant = Grant(link.namespace_id, number, link.key_id, link.digest)
        if await _is_good(services, grant):
            return grant
    raise ForbiddenError("This link does not work (any more).")


def grant_by_key(viewer: Viewer, global_id: str) -> Grant:
    """What a key allows: its namespace's jobs. Raises NotFoundError for something that is no job's id."""
    return Grant(viewer.namespace.id, decode_id(global_id, "Job"), viewer.key_id)


async def find_job(services: Services, grant: Grant) -> Job:
    """The job. Raises NotFoundError, for another tenant's too."""
    async with services.database.read(grant.namespace_id) as session:
        (job,) = await job_queries.jobs_by_id(session, [grant.job_id])
    if job is None or (grant.digest is not None and grant.digest != digest_of(job.run_id)):
        raise NotFoundError("No such job.")
    return job


async def lines(services: Services, grant: Grant) -> AsyncGenerator[bytes]:
    """The outcomes as NDJSON, up to a thousand lines at a time: as many as there are when they are read.

    Raises UnauthenticatedError when the key is revoked meanwhile.
    """
    after: str | None = None
    checked = time.monotonic()
    while True:
        if time.monotonic() - checked > CHECK_SECONDS:
            if not await _is_good(services, grant):
                raise UnauthenticatedError("The API key has expired or was revoked.")
            checked = time.monotonic()
        async with services.database.read(grant.namespace_id) as session:
            (page,) = await outcome_queries.outcomes_of_jobs(
                session, [grant.job_id], PageRequest(PAGE, after), kinds=None
            )
        if page.rows:
            yield b"".join(map(_line, page.rows))
            after = page.order.cursor(page.rows[-1])
        if not page.has_next:
            return


def _line(row: OutcomeRow) -> bytes:
    values = {"path": row.path, "row": row.row, "kind": row.kind, "message": row.message, "at": row.at}
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


async def _is_good(services: Services, grant: Grant) -> bool:
    async with services.database.read(ALL) as session:
        key = await key_by_id(session, grant.key_id)
    return key is not None and is_usable(key) and any(space.id == grant.namespace_id for space in key.namespaces)
