"""What a run writes besides objects, in bulk: outcomes, dead letters and batches. Plain SQL, as `models.catalogue`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from models.dead_letters import DeadLetter, DeadLetterStatus
from models.outcomes import OutcomeKind
from models.plain_sql import execute, execute_many, fetch, insert_many, time_mark
from models.ranges import KeyRange

OutcomeRow = tuple[int, str, int, str, str | None, int]
"""(job, path, row, kind, message, at in microseconds)."""

LetterRow = tuple[int, int, int, int | None, int, bytes, int, str, str, str, int, str, int, int, int]
"""The columns of `_LETTER_COLUMNS`, times in microseconds."""

_OUTCOME_COLUMNS = {
    "job_id": "bigint",
    "path": "text",
    "row": "bigint",
    "kind": "text",
    "message": "text",
    "at": "time",
}
_LETTER_COLUMNS = {
    "namespace_id": "bigint", "project_id": "bigint", "storage_id": "bigint", "sync_config_id": "bigint",
    "job_id": "bigint", "source_key": "bytea", "row": "bigint", "path": "text", "error_type": "text",
    "message": "text", "attempts": "integer", "status": "text", "first_seen_at": "time", "last_seen_at": "time",
    "row_rev": "bigint",
}  # fmt: skip
# What someone gave up stays given up, however often it fails again.
_FAILED_AGAIN = (
    "ON CONFLICT (project_id, storage_id, source_key, row) DO UPDATE SET sync_config_id = excluded.sync_config_id,"
    " job_id = excluded.job_id, path = excluded.path, error_type = excluded.error_type, message = excluded.message,"
    " attempts = dead_letter.attempts + excluded.attempts, last_seen_at = excluded.last_seen_at,"
    " row_rev = dead_letter.row_rev + 1,"
    f" status = CASE WHEN dead_letter.status = '{DeadLetterStatus.DISCARDED}' THEN dead_letter.status"
    " ELSE excluded.status END"
)
_OPEN = f"status IN ('{DeadLetterStatus.QUARANTINED}', '{DeadLetterStatus.REQUEUED}')"

PIECE = 5_000
"""Rows of one transaction that removes them."""
LETTERS = 500
"""The most letters that one look takes."""
LAST_ROW = 2**62
"""Above every row number."""


class Scope(NamedTuple):
    """Whose records a run writes, and the keys that it covers."""

    project_id: int
    storage_id: int
    range: KeyRange

    def clause(
        self, session: AsyncSession, *, after: tuple[bytes, int] = (b"", -2), upto: bytes | None = None
    ) -> tuple[str, tuple[int | bytes, ...]]:
        """The condition on rows behind `after` (key, row), up to the key `upto`, with its values.

        One bound on each side: of two, SQLite would walk the index from the one that it sees first.
        """
        low, high = max(after, (self.range.low, -2)), self.range.high
        sql = f"project_id = ? AND storage_id = ? AND (source_key, row) > (CAST(? AS {_bytes(session)}),"
        sql, values = f"{sql} CAST(? AS bigint))", (self.project_id, self.storage_id, *low)
        if upto is not None and (high is None or upto < high):
            return f"{sql} AND source_key <= ?", (*values, upto)
        return (sql, values) if high is None else (f"{sql} AND source_key < ?", (*values, high))


class OpenLetter(NamedTuple):
    """A dead letter that nobody has decided about."""

    id: int
    key: bytes
    row: int
    sync_config_id: int | None


async def has_objects(session: AsyncSession, scope: Scope) -> bool:
    """Whether the catalogue holds anything of the scope, missing and staged objects too."""
    where, values = scope.clause(session)
    return bool(await fetch(session, f"SELECT 1 FROM synced_object WHERE {where} LIMIT 1", values))


async def record_outcomes(session: AsyncSession, rows: Sequence[OutcomeRow]) -> None:
    """Adds outcomes."""
    await insert_many(session, "outcome", _OUTCOME_COLUMNS, rows)


async def record_missing(session: AsyncSession, job_id: int, scope: Scope, *, limit: int, now: int) -> None:
    """Outcomes for the run's first `limit` candidates for MISSING; to be called before they are applied."""
    await execute(
        session,
        "INSERT INTO outcome (job_id, path, row, kind, message, at)"
        f" SELECT CAST(? AS bigint), o.path, o.row, '{OutcomeKind.MISSING}', CAST(NULL AS text), {time_mark(session)}"
        " FROM (SELECT source_key, row FROM missing_candidate WHERE job_id = ?"
        f" ORDER BY source_key, row LIMIT {limit:d}) AS gone JOIN synced_object AS o ON o.project_id = ?"
        " AND o.storage_id = ? AND o.source_key = gone.source_key AND o.row = gone.row AND o.status = 'SYNCED'"
        " ORDER BY o.source_key, o.row",
        (job_id, now, job_id, scope.project_id, scope.storage_id),
    )


async def retract_outcomes(session: AsyncSession, job_id: int, paths: Sequence[str]) -> None:
    """Takes back what the run said of these files."""
    await execute_many(session, "DELETE FROM outcome WHERE job_id = ? AND path = ?", [(job_id, path) for path in paths])


async def has_outcomes(session: AsyncSession, job_id: int) -> bool:
    """Whether there is an outcome of the job."""
    return bool(await fetch(session, "SELECT 1 FROM outcome WHERE job_id = ? LIMIT 1", (job_id,)))


async def forget_outcomes(session: AsyncSession, job_id: int) -> bool:
    """Removes at most PIECE of a job's outcomes; whether there may be more."""
    found = await fetch(
        session, f"SELECT id FROM outcome WHERE job_id = ? ORDER BY id LIMIT 1 OFFSET {PIECE - 1}", (job_id,)
    )
    bound = " AND id <= ?" if found else ""
    await execute(session, f"DELETE FROM outcome WHERE job_id = ?{bound}", (job_id, *(found[0] if found else ())))
    return bool(found)


async def record_letters(session: AsyncSession, rows: Sequence[LetterRow]) -> None:
    """Quarantines records, each at most once in `rows`. Attempts add up; what was discarded stays so."""
    await insert_many(session, "dead_letter", _LETTER_COLUMNS, rows, conflict=_FAILED_AGAIN)


async def next_open_letter(session: AsyncSession, scope: Scope, *, after: bytes, before: int) -> bytes | None:
    """The first key above `after` with an open letter that was last seen before that time."""
    where, values = scope.clause(session, after=(after, LAST_ROW))
    found = await fetch(
        session,
        f"SELECT source_key FROM dead_letter WHERE {where} AND {_OPEN} AND last_seen_at < {time_mark(session)}"
        " ORDER BY source_key, row LIMIT 1",
        (*values, before),
    )
    return found[0][0] if found else None


async def open_letters(
    session: AsyncSession, scope: Scope, *, after: tuple[bytes, int], upto: bytes | None, before: int
) -> list[OpenLetter]:
    """At most LETTERS open ones behind `after` (key, row), up to the key `upto`, last seen before then, in order."""
    where, values = scope.clause(session, after=after, upto=upto)
    found = await fetch(
        session,
        f"SELECT id, source_key, row, sync_config_id FROM dead_letter WHERE {where} AND {_OPEN}"
        f" AND last_seen_at < {time_mark(session)} ORDER BY source_key, row LIMIT {LETTERS}",
        (*values, before),
    )
    return [OpenLetter(*row) for row in found]


async def open_letters_of(
    session: AsyncSession, scope: Scope, keys: Sequence[bytes], *, before: int
) -> list[OpenLetter]:
    """The open letters of these keys (at most 1,000) that were last seen before then."""
    if not keys:
        return []
    found = await fetch(
        session,
        "SELECT id, source_key, row, sync_config_id FROM dead_letter WHERE project_id = ? AND storage_id = ?"
        f" AND source_key IN ({', '.join('?' * len(keys))}) AND {_OPEN} AND last_seen_at < {time_mark(session)}",
        (scope.project_id, scope.storage_id, *keys, before),
    )
    return [OpenLetter(*row) for row in found]


async def resolve_letters(session: AsyncSession, ids: Sequence[int], job_id: int) -> None:
    """Marks letters RESOLVED by a run."""
    await execute_many(
        session,
        f"UPDATE dead_letter SET status = '{DeadLetterStatus.RESOLVED}', job_id = ?, row_rev = row_rev + 1"
        f" WHERE id = ? AND {_OPEN}",
        [(job_id, number) for number in ids],
    )


async def reopen_letters(session: AsyncSession, scope: Scope, keys: Sequence[bytes], *, seen_at: int) -> None:
    """What was seen of these files is not of what they are now: it is judged again as if last seen at `seen_at`."""
    mark = time_mark(session)
    await execute_many(
        session,
        f"UPDATE dead_letter SET last_seen_at = {mark} WHERE project_id = ? AND storage_id = ? AND source_key = ?"
        f" AND last_seen_at > {mark}",
        [(seen_at, scope.project_id, scope.storage_id, key, seen_at) for key in keys],
    )


async def take_letters(session: AsyncSession, scope: Scope, key: bytes, *, other: int, job_id: int, now: int) -> None:
    """What the job `other` has seen fail of this file counts as seen by this one, which goes on behind it."""
    await execute(
        session,
        f"UPDATE dead_letter SET job_id = ?, last_seen_at = {time_mark(session)} WHERE project_id = ?"
        f" AND storage_id = ? AND source_key = ? AND job_id = ? AND {_OPEN}",
        (job_id, now, scope.project_id, scope.storage_id, key, other),
    )


async def letters_at(
    session: AsyncSession, places: Sequence[tuple[int, int, bytes, int]], ids: Sequence[int]
) -> list[DeadLetter]:
    """The letters at (project, storage, key, row), and those with these ids; some hundred at most."""
    identity = tuple_(DeadLetter.project_id, DeadLetter.storage_id, DeadLetter.source_key, DeadLetter.row)
    query = select(DeadLetter).where(or_(identity.in_(places), DeadLetter.id.in_(ids)))
    return list(await session.scalars(query))


def _bytes(session: AsyncSession) -> str:
    return "blob" if session.get_bind().dialect.name == "sqlite" else "bytea"
