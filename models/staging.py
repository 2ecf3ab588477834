"""What waits for confirmation: new objects are STAGED in the catalogue, new versions of others lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models import missing
from models.catalogue import DETAILED, RANGE_LIMIT, DetailedRow, Known, key_bounds, keys_outside
from models.objects import STAGED_MARK
from models.plain_sql import execute, execute_many, fetch, insert_many, time_mark
from models.ranges import KeyRange

VERSION = "VERSION"
"""Stands for the status of an object that has a newer version waiting, in what the `known_…` of this module return."""

_COLUMNS = {name: kind for name, kind in DETAILED.items() if name not in ("status", "first_synced_at")}
_PLACES = tuple(number for number, name in enumerate(DETAILED) if name in _COLUMNS)
_CONTENT = [name for name in _COLUMNS if name not in ("namespace_id", "project_id", "storage_id", "source_key", "row")]
_STAGE = "ON CONFLICT (project_id, storage_id, source_key, row) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _CONTENT
)
_SEEN = "COALESCE(v.fingerprint, o.fingerprint), CASE WHEN v.row IS NULL THEN o.status ELSE 'VERSION' END"
_VERSIONS = "LEFT JOIN staged_object v ON v.project_id = ? AND v.storage_id = ? AND v.source_key = o.source_key"


class Waiting(NamedTuple):
    """How many objects a confirmation shows, renews and takes away."""

    added: int
    updated: int
    missing: int


async def known_files(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, upto: bytes | None, keys: KeyRange
) -> list[tuple[bytes, str, str]]:
    """As `catalogue.known_files`, of each object its newest version."""
    within, bounds = key_bounds(keys, after, upto)
    return await fetch(
        session,
        f"SELECT o.source_key, {_SEEN} FROM (SELECT source_key, fingerprint, status FROM synced_object"
        f" WHERE project_id = ? AND storage_id = ?{within} AND row = 0 ORDER BY source_key LIMIT {RANGE_LIMIT}) o"
        f" {_VERSIONS} AND v.row = 0 ORDER BY o.source_key",
        (project_id, storage_id, *bounds, project_id, storage_id),
    )


async def known_rows(
    session: AsyncSession,
    project_id: int,
    storage_id: int,
    keys: Sequence[bytes],
    first: int = 0,
    last: int = 2**31 - 1,
) -> dict[tuple[bytes, int], Known]:
    """As `catalogue.known_rows`, of each object its newest version."""
    if not keys:
        return {}
    marks = ", ".join("?" * len(keys))
    found = await fetch(
        session,
        f"SELECT o.source_key, o.row, {_SEEN} FROM (SELECT source_key, row, fingerprint, status FROM synced_object"
        f" WHERE project_id = ? AND storage_id = ? AND row >= ? AND row <= ? AND source_key IN ({marks})) o"
        f" {_VERSIONS} AND v.row = o.row",
        (project_id, storage_id, first, last, *keys, project_id, storage_id),
    )
    return {(key, row): Known(fingerprint, status) for key, row, fingerprint, status in found}


async def stage(session: AsyncSession, rows: Sequence[DetailedRow]) -> None:
    """Keeps new versions of objects that the catalogue has."""
    chosen = [tuple(row[place] for place in _PLACES) for row in rows]
    await insert_many(session, "staged_object", _COLUMNS, chosen, conflict=_STAGE)


async def drop_rows(
    session: AsyncSession, project_id: int, storage_id: int, files: Sequence[tuple[bytes, int]]
) -> None:
    """For each (key, first row): what waits of the file from that row on is no longer in the source."""
    values = [(project_id, storage_id, *place) for place in files]
    one = "project_id = ? AND storage_id = ? AND source_key = ? AND row >= ?"
    await execute_many(session, f"DELETE FROM synced_object WHERE {one} AND status = 'STAGED'", values)
    await execute_many(session, f"DELETE FROM staged_object WHERE {one}", values)


async def drop_strays(
    session: AsyncSession, project_id: int, storage_id: int, sync_config_id: int, keys: KeyRange
) -> None:
    """What the configuration has waiting outside of this range, from when its source path was another, is dropped."""
    outside, bounds = keys_outside(keys)
    await execute(
        session,
        f"UPDATE source_file SET fingerprint = '' WHERE project_id = ? AND storage_id = ?{outside}"
        f" AND fingerprint LIKE '{STAGED_MARK}%'",
        (project_id, storage_id, *bounds),
    )
    one = f"project_id = ? AND storage_id = ? AND sync_config_id = ?{outside}"
    values = (project_id, storage_id, sync_config_id, *bounds)
    await execute(session, f"DELETE FROM synced_object WHERE {one} AND status = 'STAGED'", values)
    await execute(session, f"DELETE FROM staged_object WHERE {one}", values)


async def drop_versions(session: AsyncSession, project_id: int, storage_id: int, keys: KeyRange) -> None:
    """Before a run that does not wait for anyone: it writes the versions that it finds itself.

    Where it leaves a file out, the next run that waits is to read it again.
    """
    within, bounds = key_bounds(keys)
    scope = (project_id, storage_id, *bounds)
    await execute(
        session,
        f"UPDATE source_file SET fingerprint = '' WHERE project_id = ? AND storage_id = ?{within} AND source_key IN"
        f" (SELECT source_key FROM staged_object WHERE project_id = ? AND storage_id = ?{within})",
        (*scope, *scope),
    )
    await execute(
        session,
        f"DELETE FROM staged_object WHERE project_id = ? AND storage_id = ?{within}",
        scope,
    )


async def count(session: AsyncSession, project_id: int, storage_id: int, sync_config_id: int, job_id: int) -> Waiting:
    """What waits for the confirmation of this job of the configuration."""
    scope = (project_id, storage_id, sync_config_id)
    one = "project_id = ? AND storage_id = ? AND sync_config_id = ?"
    added = await fetch(session, f"SELECT count(*) FROM synced_object WHERE {one} AND status = 'STAGED'", scope)
    updated = await fetch(session, f"SELECT count(*) FROM staged_object WHERE {one}", scope)
    return Waiting(added[0][0], updated[0][0], await missing.count(session, job_id))


async def confirm(
    session: AsyncSession,
    project_id: int,
    storage_id: int,
    sync_config_id: int,
    job_id: int,
    *,
    now: int,
    remove: bool,
) -> None:
    """Shows what the configuration has waiting, and judges what the job did not find. `remove`: instead of marking."""
    scope = (project_id, storage_id, sync_config_id)
    one = "project_id = ? AND storage_id = ? AND sync_config_id = ?"
    moment, names = time_mark(session), ", ".join(_COLUMNS)
    replaced = ", ".join(f"{name} = excluded.{name}" for name in _CONTENT)
    await execute(
        session,
        f"INSERT INTO synced_object ({names}, status, first_synced_at)"
        f" SELECT {names}, 'SYNCED', synced_at FROM staged_object WHERE {one}"
        " ON CONFLICT (project_id, storage_id, source_key, row) DO UPDATE SET"
        f" {replaced}, status = excluded.status, missing_since = NULL",
        scope,
    )
    await execute(session, f"DELETE FROM staged_object WHERE {one}", scope)
    await execute(
        session,
        f"UPDATE synced_object SET status = 'SYNCED', first_synced_at = {moment}, synced_at = {moment}"
        f" WHERE {one} AND status = 'STAGED'",
        (now, now, *scope),
    )
    while await missing.apply(session, job_id, project_id, storage_id, now=now, remove=remove):
        pass
