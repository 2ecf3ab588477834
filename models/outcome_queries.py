"""Reading outcomes: those that a run stored, and before them the additions that a first sync left to its objects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from models.cursors import decode_cursor, encode_cursor, order_digest
from models.job_queries import jobs_by_id
from models.jobs import Job
from models.objects import SyncedObject
from models.outcomes import Outcome, OutcomeKind
from models.pagination import PARENTS_PER_STATEMENT, Page, PageRequest
from models.ranges import KeyRange
from sluicegate.core.errors import InvalidError

COUNTERS = {
    OutcomeKind.ADDED: "objectsAdded",
    OutcomeKind.UPDATED: "objectsUpdated",
    OutcomeKind.FAILED: "objectsFailed",
    OutcomeKind.MISSING: "objectsMissing",
}
"""The counter of a job's `sync` that says how many outcomes of a kind there are."""

_DERIVED, _STORED = 0, 1
_FIRST_ROW = -1
_HEX = re.compile("(?:[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What became of one record. `place`: where it is in its job's list: (part, key in hex, row or id)."""

    path: str
    row: int
    kind: str
    message: str | None
    at: datetime
    place: tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class OutcomeOrder:
    """The order of one job's outcomes: as the run met the records."""

    job_id: int
    kinds: tuple[str, ...] | None

    @property
    def digest(self) -> str:
        """What a cursor of this order carries."""
        return order_digest("outcomes", [("place", False)], (self.job_id, self.kinds))

    def cursor(self, row: OutcomeRow) -> str:
        """The cursor of an outcome."""
        return encode_cursor(self.digest, list(row.place))

    def position(self, cursor: str | None) -> tuple[int, str, int]:
        """The place that a cursor names. Raises InvalidError."""
        if cursor is None:
            return _DERIVED, "", _FIRST_ROW
        values = decode_cursor(cursor, self.digest, [int, str, int], argument="after")
        if None in values or _HEX.fullmatch(values[1]) is None:
            raise InvalidError("This is not a cursor of this API.", path=("after",))
        return values[0], values[1], values[2]


async def outcomes_of_jobs(
    session: AsyncSession, ids: Sequence[int], request: PageRequest, *, kinds: tuple[str, ...] | None
) -> list[Page[OutcomeRow]]:
    """The same page of each job's outcomes, forward. Raises InvalidError for sizes and cursors that are not allowed."""
    size = request.size
    jobs = {job.id: job for job in await jobs_by_id(session, ids) if job is not None}
    orders = {number: OutcomeOrder(number, kinds) for number in ids}
    places = {number: order.position(request.after) for number, order in orders.items()}
    rows: dict[int, list[OutcomeRow]] = {number: [] for number in ids}
    if kinds is None or OutcomeKind.ADDED in kinds:
        derived = [
            _additions(job, places[number]).limit(size + 1)
            for number, job in jobs.items()
            if is_derived(job) and places[number][0] == _DERIVED
        ]
        for number, key, path, row, at in await _fetch(session, derived):
            rows[number].append(OutcomeRow(path, row, OutcomeKind.ADDED, None, at, (_DERIVED, key.hex(), row)))
    stored = [
        _stored(number, places[number], kinds).limit(size + 1 - len(rows[number]))
        for number in jobs
        if len(rows[number]) <= size
    ]
    for number, id_, path, row, kind, message, at in await _fetch(session, stored):
        rows[number].append(OutcomeRow(path, row, kind, message, at, (_STORED, "", id_)))
    return [_page(rows[number], orders[number], request) for number in ids]


def is_derived(job: Job) -> bool:
    """Whether what the job added is told by the objects themselves."""
    return bool((job.sync or {}).get("derivedAdditions")) and job.storage_id is not None and job.project_id is not None


def count_outcomes(job: Job, kinds: tuple[str, ...] | None) -> int:
    """How many outcomes a job has: its counters say so."""
    if job.payload.get("dryRun"):
        return 0
    return sum((job.sync or {}).get(COUNTERS[OutcomeKind(kind)], 0) for kind in set(kinds or COUNTERS))


def _additions(job: Job, place: tuple[int, str, int]) -> Select[*tuple[Any, ...]]:
    """The objects of what was empty before the job: all that came before its end are its own."""
    keys = KeyRange(job.range_low or b"", job.range_high)
    _, after, row = place
    low = max((bytes.fromhex(after), row), (keys.low, _FIRST_ROW))
    identity = tuple_(SyncedObject.source_key, SyncedObject.row)
    query = (
        select(
            literal(job.id), SyncedObject.source_key, SyncedObject.path, SyncedObject.row, SyncedObject.first_synced_at
        )
        .where(SyncedObject.project_id == job.project_id, SyncedObject.storage_id == job.storage_id)
        .where(identity > tuple_(*low, types=[SyncedObject.source_key.type, SyncedObject.row.type]))
        .order_by(SyncedObject.source_key, SyncedObject.row)
    )
    if keys.high is not None:
        query = query.where(SyncedObject.source_key < keys.high)
    return query if job.finished_at is None else query.where(SyncedObject.first_synced_at <= job.finished_at)


def _stored(job_id: int, place: tuple[int, str, int], kinds: tuple[str, ...] | None) -> Select[*tuple[Any, ...]]:
    part, _, after = place
    query = (
        select(Outcome.job_id, Outcome.id, Outcome.path, Outcome.row, Outcome.kind, Outcome.message, Outcome.at)
        .where(Outcome.job_id == job_id, Outcome.id > (after if part == _STORED else 0))
        .order_by(Outcome.id)
    )
    return query if kinds is None else query.where(Outcome.kind.in_(kinds))


async def _fetch(session: AsyncSession, queries: Sequence[Select[*tuple[Any, ...]]]) -> list[Any]:
    """The rows of queries of one shape, many in one statement, in no order."""
    rows: list[Any] = []
    for start in range(0, len(queries), PARENTS_PER_STATEMENT):
        part = queries[start : start + PARENTS_PER_STATEMENT]
        if len(part) == 1:
            rows += (await session.execute(part[0])).all()
        else:
            rows += (await session.execute(union_all(*(select(query.subquery()) for query in part)))).all()
    return rows


def _page(rows: list[OutcomeRow], order: OutcomeOrder, request: PageRequest) -> Page[OutcomeRow]:
    rows.sort(key=attrgetter("place"))
    more = len(rows) > request.size
    return Page(rows[: request.size], order, has_next=more, has_previous=request.after is not None)
