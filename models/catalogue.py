"""Reads and writes of the catalogue in bulk, in plain SQL: one statement for up to thousands of objects.

Rows are plain tuples in the order of COLUMNS. Times are microseconds since the epoch (0.1 µs to make, where a datetime
costs ten times that); JSON columns are JSON text. SQLite takes `executemany`, PostgreSQL one statement over arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models.objects import ObjectStatus
from models.plain_sql import execute, execute_many, fetch, insert_many, time_mark
from models.ranges import EVERYTHING, KeyRange

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
    + ", missing_since = NULL, fields = NULL, blobs = NULL, sync_config_id = NULL, content_hash = NULL"
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


DETAILS = {"sync_config_id": "bigint", "fields": "json", "blobs": "json", "content_hash": "text"}
Details = tuple[int, str | None, str | None, str | None]
"""What only configurations write: (configuration, fields, blobs, content hash)."""
DetailedRow = tuple[
    int, int, int, bytes, int, str, str, int | None, str | None, str, str, int | None, str | None, int, int,
    int, str | None, str | None, str | None,
]  # fmt: skip
"""An ObjectRow followed by its Details."""

DETAILED = {name: "time" if name in _TIMES else _TYPES[name] for name in COLUMNS} | {"data": "json"} | DETAILS
_ON_CONFLICT_DETAILED = (
    "ON CONFLICT (project_id, storage_id, source_key, row) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_REPLACED, *DETAILS))
    + ", missing_since = NULL"
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


async def upsert_detailed(session: AsyncSession, rows: Sequence[DetailedRow]) -> None:
    """As `upsert`, of a configuration's objects. Wider, so a storage's own sync does without."""
    await insert_many(session, "synced_object", DETAILED, rows, conflict=_ON_CONFLICT_DETAILED)


RANGE_LIMIT = 5_000
"""The most that a range query returns; when it returns so many, there may be more after the last key."""


async def known_files(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, upto: bytes | None, keys: KeyRange
) -> list[tuple[bytes, str, str]]:
    """(key, fingerprint, status) of the first RANGE_LIMIT whole files of the range with after < key ≤ upto, by key."""
    within, bounds = key_bounds(keys, after, upto)
    return await fetch(
        session,
        "SELECT source_key, fingerprint, status FROM synced_object WHERE project_id = ? AND storage_id = ?"
        f"{within} AND row = 0 ORDER BY source_key LIMIT {RANGE_LIMIT}",
        (project_id, storage_id, *bounds),
    )


async def known_sources(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, upto: bytes | None, keys: KeyRange
) -> list[tuple[bytes, str, int, int]]:
    """(key, fingerprint, rows, failed rows) of the range's first RANGE_LIMIT files read with after < key ≤ upto."""
    within, bounds = key_bounds(keys, after, upto)
    return await fetch(
        session,
        "SELECT source_key, fingerprint, rows, failed_rows FROM source_file WHERE project_id = ? AND storage_id = ?"
        f"{within} ORDER BY source_key LIMIT {RANGE_LIMIT}",
        (project_id, storage_id, *bounds),
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


def key_bounds(keys: KeyRange, after: bytes = b"", upto: bytes | None = None) -> tuple[str, tuple[bytes, ...]]:
    """SQL for the keys of a range with after < key ≤ upto, from " AND" on, and its values.

    One bound on each side: of two, SQLite would walk the index from the one that it sees first.
    """
    low = (" AND source_key > ?", after) if after and after >= keys.low else (" AND source_key >= ?", keys.low)
    high = keys.high if upto is None or (keys.high is not None and keys.high <= upto) else None
    if high is not None:
        return f"{low[0]} AND source_key < ?", (low[1], high)
    return (low[0], (low[1],)) if upto is None else (f"{low[0]} AND source_key <= ?", (low[1], upto))


def keys_outside(keys: KeyRange) -> tuple[str, tuple[bytes, ...]]:
    """SQL for the keys that a range does not cover, from " AND" on, and its values."""
    if keys.high is None:
        return " AND source_key < ?", (keys.low,)
    return " AND (source_key < ? OR source_key >= ?)", (keys.low, keys.high)


_UNREAD = (
    " FROM synced_object AS o WHERE project_id = ? AND storage_id = ?{} AND row = 0 AND CASE WHEN EXISTS (SELECT 1"
    " FROM source_file AS f WHERE f.project_id = o.project_id AND f.storage_id = o.storage_id"
    " AND f.source_key = o.source_key) THEN false ELSE status IN ('SYNCED', 'STAGED') END"
)
"""Files that BLOB runs recorded and no READ run knows. CASE: the index is all that is read of files that are known."""


async def unread_files(
    session: AsyncSession, project_id: int, storage_id: int, after: bytes, keys: KeyRange = EVERYTHING
) -> list[bytes]:
    """The first RANGE_LIMIT files of the range behind `after` that earlier BLOB runs recorded, and nobody has read."""
    within, bounds = key_bounds(keys, after)
    found = await fetch(
        session,
        f"SELECT source_key{_UNREAD.format(within)} ORDER BY source_key LIMIT {RANGE_LIMIT}",
        (project_id, storage_id, *bounds),
    )
    return [key for (key,) in found]


async def enter_blob_mode(
    session: AsyncSession, project_id: int, storage_id: int, now: int, keys: KeyRange = EVERYTHING
) -> None:
    """Before a BLOB run: rows beyond the first, from earlier READ runs, are no records any more."""
    within, bounds = key_bounds(keys)
    scope = (project_id, storage_id, *bounds)
    files = f"source_file WHERE project_id = ? AND storage_id = ?{within}"
    if not await fetch(session, f"SELECT 1 FROM {files} LIMIT 1", scope):
        return
    await execute(
        session,
        f"UPDATE synced_object SET status = '{ObjectStatus.MISSING}', missing_since = {time_mark(session)}"
        f" WHERE project_id = ? AND storage_id = ?{within} AND row > 0 AND status = 'SYNCED'",
        (now, *scope),
    )
    await execute(session, f"DELETE FROM {files}", scope)
