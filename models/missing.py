"""Objects that runs do not find any more: candidates while a run goes on, judged together at its end. Plain SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from models.catalogue import key_bounds, keys_outside
from models.leftovers import jobs_with_leftovers
from models.objects import ObjectStatus
from models.plain_sql import execute, execute_many, fetch, time_mark
from models.ranges import EVERYTHING, KeyRange

PIECE = 5_000
"""How many candidates one transaction judges."""


async def note_files(session: AsyncSession, job_id: int, keys: Sequence[bytes]) -> None:
    """Adds whole-file records to the run's candidates."""
    await execute_many(
        session,
        "INSERT INTO missing_candidate (job_id, source_key, row) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        [(job_id, key) for key in keys],
    )


async def note_rows(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, files: Sequence[tuple[bytes, int]]
) -> None:
    """For each (key, first row): the file's records from that row on become candidates."""
    await execute_many(
        session,
        "INSERT INTO missing_candidate (job_id, source_key, row) SELECT CAST(? AS bigint), source_key, row"
        " FROM synced_object WHERE project_id = ? AND storage_id = ? AND source_key = ? AND row >= ?"
        " AND status = 'SYNCED' ON CONFLICT DO NOTHING",
        [(job_id, project_id, storage_id, key, first) for key, first in files],
    )


async def note_sources(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, keys: Sequence[bytes]
) -> None:
    """The records of these files become candidates; a file that has none is forgotten at once."""
    await note_rows(session, job_id, project_id, storage_id, [(key, 0) for key in keys])
    await forget_empty_sources(session, project_id, storage_id, keys)


async def note_strays(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, sync_config_id: int, keys: KeyRange
) -> None:
    """What the configuration wrote outside of this range, when its source path was another, becomes candidates."""
    outside, values = keys_outside(keys)
    await execute(
        session,
        "INSERT INTO missing_candidate (job_id, source_key, row) SELECT CAST(? AS bigint), source_key, row"
        f" FROM synced_object WHERE project_id = ? AND storage_id = ? AND sync_config_id = ?{outside}"
        " AND status = 'SYNCED' ON CONFLICT DO NOTHING",
        (job_id, project_id, storage_id, sync_config_id, *values),
    )


async def take_over(session: AsyncSession, job_id: int, other: int) -> None:
    """The candidates of the job `other` become those of this one, which goes on where that ended."""
    await execute(session, "UPDATE missing_candidate SET job_id = ? WHERE job_id = ?", (job_id, other))


async def count(session: AsyncSession, job_id: int) -> int:
    """How many candidates the run has left."""
    return (await fetch(session, "SELECT count(*) FROM missing_candidate WHERE job_id = ?", (job_id,)))[0][0]


async def count_synced(session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange = EVERYTHING) -> int:
    """How many records of the range are SYNCED."""
    within, bounds = key_bounds(keys)
    found = await fetch(
        session,
        f"SELECT count(*) FROM synced_object WHERE project_id = ? AND storage_id = ?{within} AND status = 'SYNCED'",
        (project_id, storage_id, *bounds),
    )
    return found[0][0]


async def apply(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, *, now: int, remove: bool = False
) -> list[tuple[bytes, int]]:
    """Marks the first PIECE candidates MISSING, or removes them, and drops them from the candidates: these."""
    found: list[tuple[bytes, int]] = [
        (key, row)
        for key, row in await fetch(
            session,
            f"SELECT source_key, row FROM missing_candidate WHERE job_id = ? ORDER BY source_key, row LIMIT {PIECE}",
            (job_id,),
        )
    ]
    one = "project_id = ? AND storage_id = ? AND source_key = ? AND row = ? AND status = 'SYNCED'"
    if remove:
        await execute_many(
            session, f"DELETE FROM synced_object WHERE {one}", [(project_id, storage_id, *place) for place in found]
        )
    else:
        await execute_many(
            session,
            f"UPDATE synced_object SET status = '{ObjectStatus.MISSING}', missing_since = {time_mark(session)}"
            f" WHERE {one}",
            [(now, project_id, storage_id, *place) for place in found],
        )
    await forget_empty_sources(session, project_id, storage_id, list({key for key, _ in found}))
    await execute_many(
        session,
        "DELETE FROM missing_candidate WHERE job_id = ? AND source_key = ? AND row = ?",
        [(job_id, *place) for place in found],
    )
    return found


async def forget_empty_sources(session: AsyncSession, project_id: int, storage_id: int, keys: Sequence[bytes]) -> None:
    """Forgets files without a record that is there: one that comes back is read again, whatever its fingerprint."""
    await execute_many(
        session,
        "DELETE FROM source_file WHERE project_id = ? AND storage_id = ? AND source_key = ? AND NOT EXISTS"
        " (SELECT 1 FROM synced_object WHERE project_id = ? AND storage_id = ? AND source_key = ?"
        " AND status IN ('SYNCED', 'STAGED'))",
        [(project_id, storage_id, key, project_id, storage_id, key) for key in keys],
    )


async def forget_keys(session: AsyncSession, project_id: int, storage_id: int, keys: Sequence[bytes]) -> None:
    """Drops these files' records from the candidates of all jobs: they are about to be looked at anew."""
    jobs = await jobs_with_leftovers(session, project_id, storage_id)
    await execute_many(
        session,
        "DELETE FROM missing_candidate WHERE job_id = ? AND source_key = ?",
        [(number, key) for number in jobs for key in keys],
    )


async def forget_runs(session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange = EVERYTHING) -> None:
    """Drops the checkpoints and candidates of all jobs whose keys meet these: what they found is old, or was refused.

    Files that have lost records by them are to be read again, for only reading them tells what is missing.
    """
    jobs = [(number,) for number in await jobs_with_leftovers(session, project_id, storage_id, keys)]
    await execute_many(
        session,
        "UPDATE source_file SET fingerprint = '' WHERE project_id = ? AND storage_id = ? AND source_key IN"
        " (SELECT source_key FROM missing_candidate WHERE job_id = ?)",
        [(project_id, storage_id, *number) for number in jobs],
    )
    for table in ("missing_candidate", "checkpoint"):
        await execute_many(session, f"DELETE FROM {table} WHERE job_id = ?", jobs)
