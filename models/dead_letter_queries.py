"""Reading dead letters, and changing them as someone decides. Runs write them with `models.run_records`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from models.criteria import Condition, Range, TextMatch, holds, matching
from models.dead_letters import DeadLetter, DeadLetterStatus
from models.objects import SourceFile
from models.pagination import Children, Order, Page, PageRequest, SortKey, count_children, fetch_children, fetch_page
from models.plain_sql import insert_many
from models.storages import Storage
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core.clock import now, to_micros

COUNT_LIMIT = 1_000_000
"""Counting stops here: on a longer list the answer is null rather than slow."""
PIECE = 1_000
"""How many letters one transaction changes."""

_NEWEST_FIRST = (SortKey(DeadLetter.id, int, descending=True),)


@dataclass(frozen=True, slots=True)
class DeadLetterCriteria:
    """Which dead letters."""

    sync_config_id: tuple[int, ...] | None = None
    storage_id: tuple[int, ...] | None = None
    project_id: tuple[int, ...] | None = None
    status: tuple[str, ...] | None = None
    error_type: tuple[str, ...] | None = None
    path: TextMatch | None = None
    last_seen_at: Range[datetime] | None = None

    @property
    def conditions(self) -> tuple[tuple[InstrumentedAttribute[object], Condition], ...]:
        """Each with its column."""
        return (
            (DeadLetter.sync_config_id, self.sync_config_id),
            (DeadLetter.storage_id, self.storage_id),
            (DeadLetter.project_id, self.project_id),
            (DeadLetter.status, self.status),
            (DeadLetter.error_type, self.error_type),
            (DeadLetter.path, self.path),
            (DeadLetter.last_seen_at, self.last_seen_at),
        )

    def selects(self, row: DeadLetter) -> bool:
        """Whether a row is one of them."""
        return all(holds(getattr(row, column.key), condition) for column, condition in self.conditions)


def _clauses(criteria: DeadLetterCriteria) -> list[ColumnElement[bool]]:
    return [clause for column, condition in criteria.conditions for clause in matching(column, condition)]


def _query(criteria: DeadLetterCriteria) -> Select[DeadLetter]:
    return select(DeadLetter).where(*_clauses(criteria))


def _order(criteria: DeadLetterCriteria, parent: object = None) -> Order:
    return Order("deadLetters", _NEWEST_FIRST, DeadLetter.id, (criteria, parent))


async def dead_letters_by_id(session: AsyncSession, ids: Sequence[int]) -> list[DeadLetter | None]:
    """The dead letters with these ids, None for those that are not there."""
    found = {row.id: row for row in await session.scalars(select(DeadLetter).where(DeadLetter.id.in_(ids)))}
    return [found.get(number) for number in ids]


async def list_dead_letters(
    session: AsyncSession, request: PageRequest, *, criteria: DeadLetterCriteria
) -> Page[DeadLetter]:
    """A page of dead letters, newest first."""
    return await fetch_page(session, _query(criteria), _order(criteria), request)


async def count_dead_letters(session: AsyncSession, criteria: DeadLetterCriteria) -> int | None:
    """How many there are, None above COUNT_LIMIT."""
    some = _query(criteria).with_only_columns(DeadLetter.id).limit(COUNT_LIMIT + 1)
    counted = await session.scalar(select(func.count()).select_from(some.subquery()))
    return None if counted is None or counted > COUNT_LIMIT else counted


async def dead_letters_of_configs(
    session: AsyncSession, configs: Sequence[int], request: PageRequest, *, criteria: DeadLetterCriteria
) -> list[Page[DeadLetter]]:
    """The same page of each configuration's dead letters, newest first."""
    return await fetch_children(session, _of_configs(criteria), configs, request)


async def count_dead_letters_of_configs(
    session: AsyncSession, configs: Sequence[int], *, criteria: DeadLetterCriteria
) -> list[int | None]:
    """How many dead letters each configuration has, None above COUNT_LIMIT."""
    return await count_children(session, _of_configs(criteria), configs, limit=COUNT_LIMIT)


def _of_configs(criteria: DeadLetterCriteria) -> Children[DeadLetter]:
    return Children(
        DeadLetter.sync_config_id,
        lambda config: _query(criteria).where(DeadLetter.sync_config_id == config),
        lambda config: _order(criteria, ("syncConfig", config)),
    )


class Source(NamedTuple):
    """Whose run looks at a letter's key: a storage's own, or a configuration's."""

    project_id: int
    storage_id: int
    sync_config_id: int | None

    @classmethod
    def of(cls, row: DeadLetter) -> Source:
        """That of a letter."""
        return cls(row.project_id, row.storage_id, row.sync_config_id)


async def newest_id(session: AsyncSession) -> int:
    """The newest letter: those that come while a long change is under way are not part of it."""
    return await session.scalar(select(func.max(DeadLetter.id))) or 0


async def take_piece(
    session: AsyncSession,
    criteria: DeadLetterCriteria,
    *,
    ids: Sequence[int] | None,
    statuses: Sequence[DeadLetterStatus],
    after: int,
    upto: int,
) -> list[DeadLetter]:
    """The next PIECE of letters of these statuses, locked, by id: after < id ≤ upto."""
    query = _query(criteria).where(
        DeadLetter.id > after,
        DeadLetter.id <= upto,
        DeadLetter.status.in_(statuses),
    )
    if ids is not None:
        query = query.where(DeadLetter.id.in_(ids))
    return list(await session.scalars(query.order_by(DeadLetter.id).limit(PIECE).with_for_update()))


async def set_status(session: AsyncSession, ids: Sequence[int], status: DeadLetterStatus) -> list[DeadLetter]:
    """Changes letters; returns them as they are then."""
    if not ids:
        return []
    found = await session.scalars(
        update(DeadLetter)
        .where(DeadLetter.id.in_(ids))
        .values(status=status, row_rev=DeadLetter.row_rev + 1)
        .returning(DeadLetter)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return list(found)


async def can_run(session: AsyncSession, source: Source) -> bool:
    """Whether a run may look at the source's keys some day: neither its storage nor its configuration is archived."""
    storage = await session.get(Storage, source.storage_id)
    if storage is None or storage.deleted_at is not None:
        return False
    if source.sync_config_id is None:
        return True
    config = await session.get(SyncConfig, source.sync_config_id)
    return config is not None and config.status != SyncConfigStatus.ARCHIVED


MAX_NOTED = 10_000
"""Keys that a run looks at singly; for more, everything is listed instead."""


async def note_keys(session: AsyncSession, source: Source, keys: Collection[bytes]) -> None:
    """Notes keys for a configuration's next run. A storage's own sync needs none: it lists everything."""
    if source.sync_config_id is None:
        return
    columns = {"storage_id": "bigint", "sync_config_id": "bigint", "source_key": "bytea", "created_at": "time"}
    moment = to_micros(now())
    await insert_many(
        session,
        "source_event",
        columns,
        [(source.storage_id, source.sync_config_id, key, moment) for key in sorted(keys)],
        conflict="ON CONFLICT (storage_id, sync_config_id, source_key) DO UPDATE SET created_at = excluded.created_at",
    )


async def read_again(session: AsyncSession, rows: Sequence[DeadLetter]) -> None:
    """The files of these letters are read again by the next run, changed or not."""
    places = {(row.project_id, row.storage_id) for row in rows}
    for project_id, storage_id in sorted(places):
        keys = sorted({row.source_key for row in rows if (row.project_id, row.storage_id) == (project_id, storage_id)})
        await session.execute(
            update(SourceFile)
            .where(SourceFile.project_id == project_id, SourceFile.storage_id == storage_id)
            .where(SourceFile.source_key.in_(keys))
            .values(fingerprint="")
            .execution_options(synchronize_session=False)
        )
