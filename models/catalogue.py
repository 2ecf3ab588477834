"""Reads and writes of the catalogue in bulk, in plain SQL: one statement for up to thousands of objects.

Rows are plain tuples in the order of COLUMNS. Times are microseconds since the epoch (0.1 µs to make, where a datetime
costs ten times that); JSON columns are JSON text. SQLite takes `executemany`, PostgreSQL one statement over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models.objects import ObjectStatus
from models.plain_sql import execute, execute_many, fetch, time_mark

COLUMNS = (
    "namespace_id", "project_id", "storage_id", "source_key", "row", "status", "path", "size_bytes", "mime_type",
    "modality", "fingerprint", "source_modified_at", "data", "first_synced_at", "synced_at",
)  # fmt: skip
ObjectRow = tuple[
    int, int, int, bytes, int, str, str, int | None, str | None, str, str, int | None, str | None, int, int
]

_TYPES = {
    "namespace_id": "bigint", "project_id": "bigint", "storage_id": "bigint", "source_key": "bytea", "row": "bigint",
    "status": "text", "path": "text", "size_bytes": "bigint", "mime_type": "text", "modality": "text",
    "fingerprint": "text", "source_modified_at": "bigint", "data": "text",
    "first_synced_at": "bigint", "synced_at": "bigint",
}  # fmt: skip
_TIMES = frozenset({"source_modified_at", "first_synced_at", "synced_at"})
# A row that comes back keeps when it was first seen; everything else is as it is in the source now.
_REPLACED = [name for name in COLUMNS[5:] if name != "first_synced_at"]
_ON_CONFLICT = (
    "ON CONFLICT (project_id, storage_id, source_key, row) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _REPLACED)
    + ", missing_since = NULL, fields = NULL, blobs = NULL"
)
_INSERT = f"INSERT INTO synced_object ({', '.join(COLUMNS)}) "
_UPSERT_SQLITE = f"{_INSERT} VALUES ({', '.join('?' * len(COLUMNS))}) {_ON_CONFLICT}"


def _postgres_value(name: str) -> str:
    if name in _TIMES:
        return f"timestamptz 'epoch' + {name} * interval '1 microsecond'"
    return f"{name}::jsonb" if name == "data" else name


_UPSERT_POSTGRES = (
    f"{_INSERT} SELECT {', '.join(_postgres_value(name) for name in COLUMNS)} FROM unnest("
    + ", ".join(f"${number}::{_TYPES[name]}[]" for number, name in enumerate(COLUMNS, 1))
    + f") AS given ({', '.join(COLUMNS)}) {_ON_CONFLICT}"
)


class Known(NamedTuple):
    """What the catalogue holds of one object."""

    fingerprint: str
    status: str


async def upsert(session: AsyncSession, rows: Sequence[ObjectRow]) -> None:
    """Writes the rows, new or not, as one statement."""
    if not rows:
        return
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql(_UPSERT_SQLITE, rows)
    else:
        await connection.exec_driver_sql(_UPSERT_POSTGRES, tuple(map(list, zip(*rows, strict=True))))


RANGE_LIMIT = 5_000
"""The most that a range query returns; when it returns so many, there may be more after the last key."""


async def known_files(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, upto: bytes | None
) -> list[tuple[bytes, str, str]]:
    """(key, fingerprint, status) of the first RANGE_LIMIT whole-file records with after < key ≤ upto, by key."""
    bound = "" if upto is None else " AND source_key <= ?"
    return await fetch(
        session,
        "SELECT source_key, fingerprint, status FROM synced_object WHERE project_id = ? AND storage_id = ?"
        f" AND source_key > ?{bound} AND row = 0 ORDER BY source_key LIMIT {RANGE_LIMIT}",
        (project_id, storage_id, after) if upto is None else (project_id, storage_id, after, upto),
    )


async def known_sources(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, upto: bytes | None
) -> list[tuple[bytes, str, int, int]]:
    """(key, fingerprint, rows, failed rows) of the first RANGE_LIMIT files read, with after < key ≤ upto."""
    bound = "" if upto is None else " AND source_key <= ?"
    return await fetch(
        session,
        "SELECT source_key, fingerprint, rows, failed_rows FROM source_file WHERE project_id = ? AND storage_id = ?"
        f" AND source_key > ?{bound} ORDER BY source_key LIMIT {RANGE_LIMIT}",
        (project_id, storage_id, after) if upto is None else (project_id, storage_id, after, upto),
    )


MAX_KEYS = 1_000
"""The most keys that one `known_rows` takes."""


async def known_rows(
    session: AsyncSession,
    project_id: int,
    storage_id: int,
    keys: Sequence[bytes],
    first: int = 0,
    last: int = 2**31 - 1,
) -> dict[tuple[bytes, int], Known]:
    """What is held of rows `first` to `last` of these files (at most 1,000 keys)."""
    if not keys:
        return {}
    marks = ", ".join("?" * len(keys))
    found = await fetch(
        session,
        "SELECT source_key, row, fingerprint, status FROM synced_object WHERE project_id = ? AND storage_id = ?"
        f" AND row >= ? AND row <= ? AND source_key IN ({marks})",
        (project_id, storage_id, first, last, *keys),
    )
    return {(key, row): Known(fingerprint, status) for key, row, fingerprint, status in found}


async def longer_files(
    session: AsyncSession, project_id: int, storage_id: int, keys: Sequence[bytes], last: int
) -> set[bytes]:
    """Those of these files (at most 1,000 keys) that have rows beyond `last`."""
    if not keys:
        return set()
    marks = ", ".join("?" * len(keys))
    found = await fetch(
        session,
        "SELECT DISTINCT source_key FROM synced_object WHERE project_id = ? AND storage_id = ?"
        f" AND row > ? AND source_key IN ({marks})",
        (project_id, storage_id, last, *keys),
    )
    return {key for (key,) in found}


SourceRow = tuple[int, int, int, bytes, str, int, int]
"""(namespace, project, storage, key, fingerprint, rows, failed rows) of a file. Fingerprint "": read in part."""


async def record_sources(session: AsyncSession, files: Sequence[SourceRow]) -> None:
    """Notes files as read."""
    if files:
        await execute_many(
            session,
            "INSERT INTO source_file (namespace_id, project_id, storage_id, source_key, fingerprint, rows, failed_rows)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project_id, storage_id, source_key) DO UPDATE SET"
            " fingerprint = excluded.fingerprint, rows = excluded.rows, failed_rows = excluded.failed_rows",
            files,
        )


async def enter_read_mode(session: AsyncSession, project_id: int, storage_id: int) -> None:
    """Before a READ run: files that an earlier BLOB run recorded are known, but not read yet."""
    await execute(
        session,
        "INSERT INTO source_file (namespace_id, project_id, storage_id, source_key, fingerprint, rows, failed_rows)"
        " SELECT namespace_id, project_id, storage_id, source_key, '', 1, 0 FROM synced_object"
        " WHERE project_id = ? AND storage_id = ? AND row = 0"
        " AND NOT EXISTS (SELECT 1 FROM source_file WHERE project_id = ? AND storage_id = ?)",
        (project_id, storage_id, project_id, storage_id),
    )


async def enter_blob_mode(session: AsyncSession, project_id: int, storage_id: int, now: int) -> None:
    """Before a BLOB run: rows beyond the first, from earlier READ runs, are no records any more."""
    files = "source_file WHERE project_id = ? AND storage_id = ?"
    if not await fetch(session, f"SELECT 1 FROM {files} LIMIT 1", (project_id, storage_id)):
        return
    await execute(
        session,
        f"UPDATE synced_object SET status = '{ObjectStatus.MISSING}', missing_since = {time_mark(session)}"
        " WHERE project_id = ? AND storage_id = ? AND row > 0 AND status = 'SYNCED'",
        (now, project_id, storage_id),
    )
    await execute(session, f"DELETE FROM {files}", (project_id, storage_id))


async def note_missing_files(session: AsyncSession, job_id: int, keys: Sequence[bytes]) -> None:
    """Adds whole-file records to the run's candidates for MISSING."""
    await execute_many(
        session,
        "INSERT INTO missing_candidate (job_id, source_key, row) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
        [(job_id, key) for key in keys],
    )


async def note_missing_rows(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, files: Sequence[tuple[bytes, int]]
) -> None:
    """For each (key, first row): the file's records from that row on become candidates for MISSING."""
    await execute_many(
        session,
        "INSERT INTO missing_candidate (job_id, source_key, row) SELECT CAST(? AS bigint), source_key, row"
        " FROM synced_object WHERE project_id = ? AND storage_id = ? AND source_key = ? AND row >= ?"
        " AND status = 'SYNCED' ON CONFLICT DO NOTHING",
        [(job_id, project_id, storage_id, key, first) for key, first in files],
    )


async def note_missing_sources(
    session: AsyncSession, job_id: int, project_id: int, storage_id: int, keys: Sequence[bytes]
) -> None:
    """The records of these files become candidates for MISSING; a file that has none is forgotten at once."""
    await note_missing_rows(session, job_id, project_id, storage_id, [(key, 0) for key in keys])
    await _forget_empty_sources(session, project_id, storage_id, keys)


async def count_missing(session: AsyncSession, job_id: int) -> int:
    """How many candidates the run has left."""
    return (await fetch(session, "SELECT count(*) FROM missing_candidate WHERE job_id = ?", (job_id,)))[0][0]


async def count_synced(session: AsyncSession, project_id: int, storage_id: int) -> int:
    """How many records of the storage are SYNCED."""
    found = await fetch(
        session,
        "SELECT count(*) FROM synced_object WHERE project_id = ? AND storage_id = ? AND status = 'SYNCED'",
        (project_id, storage_id),
    )
    return found[0][0]


MISSING_PIECE = 5_000
"""How many candidates one transaction marks."""


async def apply_missing(session: AsyncSession, job_id: int, project_id: int, storage_id: int, *, now: int) -> None:
    """Marks the first MISSING_PIECE candidates MISSING and drops them from the candidates."""
    found = await fetch(
        session,
        "SELECT source_key, row FROM missing_candidate WHERE job_id = ?"
        f" ORDER BY source_key, row LIMIT {MISSING_PIECE}",
        (job_id,),
    )
    await execute_many(
        session,
        f"UPDATE synced_object SET status = '{ObjectStatus.MISSING}', missing_since = {time_mark(session)}"
        " WHERE project_id = ? AND storage_id = ? AND source_key = ? AND row = ? AND status = 'SYNCED'",
        [(now, project_id, storage_id, key, row) for key, row in found],
    )
    await _forget_empty_sources(session, project_id, storage_id, list({key for key, _ in found}))
    await execute_many(
        session,
        "DELETE FROM missing_candidate WHERE job_id = ? AND source_key = ? AND row = ?",
        [(job_id, key, row) for key, row in found],
    )


async def _forget_empty_sources(session: AsyncSession, project_id: int, storage_id: int, keys: Sequence[bytes]) -> None:
    """Forgets files without a record that is SYNCED: one that comes back is read again, whatever its fingerprint."""
    await execute_many(
        session,
        "DELETE FROM source_file WHERE project_id = ? AND storage_id = ? AND source_key = ? AND NOT EXISTS"
        " (SELECT 1 FROM synced_object"
        " WHERE project_id = ? AND storage_id = ? AND source_key = ? AND status = 'SYNCED')",
        [(project_id, storage_id, key, project_id, storage_id, key) for key in keys],
    )


async def forget_runs(session: AsyncSession, storage_id: int) -> None:
    """Drops the checkpoints and candidates of all the storage's jobs: what they found is old, or was refused.

    Files that have lost records by them are to be read again, for only reading them tells what is missing.
    """
    jobs = "(SELECT id FROM job WHERE storage_id = ?)"
    await execute(
        session,
        "UPDATE source_file SET fingerprint = '' WHERE storage_id = ? AND source_key IN"
        f" (SELECT source_key FROM missing_candidate WHERE job_id IN {jobs})",
        (storage_id, storage_id),
    )
    for table in ("missing_candidate", "checkpoint"):
        await execute(session, f"DELETE FROM {table} WHERE job_id IN {jobs}", (storage_id,))
