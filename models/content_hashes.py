"""Which content a project has already: for syncs that skip duplicates. Plain SQL, as `models.catalogue`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models.plain_sql import execute_many, fetch

PIECE = 2_000
"""Objects of one look."""
ROW_HASH = "row:"
"""What the hash of a record begins with; its digest follows."""

Holder = tuple[str, int, bytes, int]
"""(content hash, storage, key, row) of an object."""


async def holders(session: AsyncSession, project_id: int, hashes: Sequence[str]) -> list[Holder]:
    """The objects of the project, shown or waiting, that have one of these contents."""
    found: list[Holder] = []
    for start in range(0, len(hashes), PIECE):
        part = hashes[start : start + PIECE]
        marks = ", ".join("?" * len(part))
        for table, status in (("synced_object", " AND status IN ('SYNCED', 'STAGED')"), ("staged_object", "")):
            found += await fetch(
                session,
                f"SELECT content_hash, storage_id, source_key, row FROM {table}"
                f" WHERE project_id = ? AND content_hash IN ({marks}){status}",
                (project_id, *part),
            )
    return [(content, storage, key, row) for content, storage, key, row in found]


class Unhashed(NamedTuple):
    """An object whose content hash nobody made. `is_record`: it is a row of a file, and its fingerprint a digest."""

    id: int
    storage_id: int
    key: bytes
    fingerprint: str
    size: int | None
    is_record: bool


async def unhashed(session: AsyncSession, project_id: int, after: int) -> list[Unhashed]:
    """The next PIECE of them after the id, by id."""
    found = await fetch(
        session,
        "SELECT id, storage_id, source_key, fingerprint, size_bytes, data IS NOT NULL FROM synced_object"
        " WHERE project_id = ? AND id > ? AND content_hash IS NULL AND status IN ('SYNCED', 'STAGED')"
        f" ORDER BY id LIMIT {PIECE}",
        (project_id, after),
    )
    return [Unhashed(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in found]


async def note(session: AsyncSession, hashes: Sequence[tuple[str, int, str]]) -> None:
    """Keeps (hash, id, fingerprint it is of): not where the object has changed meanwhile."""
    await execute_many(session, "UPDATE synced_object SET content_hash = ? WHERE id = ? AND fingerprint = ?", hashes)
