"""What runs leave for those after them, without a look at the jobs that left nothing: a million a day do."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from models.catalogue import key_bounds
from models.plain_sql import fetch
from models.ranges import EVERYTHING, KeyRange

# The jobs that have candidates, each found by a step in the index: a job may have millions. Checkpoints are one a job.
_LEFT = (
    "WITH RECURSIVE step(id) AS (SELECT min(job_id) FROM missing_candidate UNION ALL"
    " SELECT (SELECT min(job_id) FROM missing_candidate WHERE job_id > step.id) FROM step WHERE step.id IS NOT NULL),"
    " kept(id) AS (SELECT id FROM step WHERE id IS NOT NULL UNION SELECT job_id FROM checkpoint)"
)


async def jobs_with_leftovers(
    session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange = EVERYTHING
) -> list[int]:
    """The jobs with a checkpoint or candidates for MISSING whose keys meet these."""
    meets, values = " AND (job.range_high IS NULL OR job.range_high > ?)", (project_id, storage_id, keys.low)
    if keys.high is not None:
        meets, values = f"{meets} AND (job.range_low IS NULL OR job.range_low < ?)", (*values, keys.high)
    found = await fetch(
        session,
        # CROSS: SQLite looks up the few jobs by their ids then, and not at all of the storage's.
        f"{_LEFT} SELECT job.id FROM kept CROSS JOIN job WHERE job.id = kept.id AND job.project_id = ?"
        f" AND job.storage_id = ?{meets}",
        values,
    )
    return [number for (number,) in found]


async def any_leftovers(
    session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange, *, versions: bool, files: bool
) -> bool:
    """Whether there is anything in the range that a run has to clear away before it begins.

    `versions`: staged ones too; `files`: what is remembered of files that were read too.
    """
    if await jobs_with_leftovers(session, project_id, storage_id, keys):
        return True
    within, bounds = key_bounds(keys)
    tables = (["staged_object"] if versions else []) + (["source_file"] if files else [])
    if not tables:
        return False
    one = f"WHERE project_id = ? AND storage_id = ?{within}"
    asked = " OR ".join(f"EXISTS (SELECT 1 FROM {table} {one})" for table in tables)
    found = await fetch(session, f"SELECT {asked}", (project_id, storage_id, *bounds) * len(tables))
    return bool(found[0][0])
