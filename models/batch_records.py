"""Batches as runs fill them: the objects of a run, a fixed number each, in the order that they were written.

The last batch of a run is open until it is full or the run has ended: its row grows with each commit, so that a run
that is killed neither loses an object nor puts one into two batches.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from models.deliveries import BatchStatus, WebhookEvent
from models.delivery_queue import announce
from models.plain_sql import execute, fetch, insert_many, is_sqlite, time_mark
from sluicegate.core.clock import to_micros

OPEN = datetime(9999, 1, 1, tzinfo=UTC)
"""The `next_attempt_at` of a batch that may still grow."""
HELD = datetime(9999, 2, 1, tzinfo=UTC)
"""The `next_attempt_at` of a batch whose objects wait to be confirmed."""

_COLUMNS = {
    "namespace_id": "bigint", "sync_config_id": "bigint", "job_id": "bigint", "event": "text", "batch_number": "bigint",
    "object_count": "integer", "items": "json", "message_id": "text", "status": "text", "attempts": "integer",
    "next_attempt_at": "time", "created_at": "time",
}  # fmt: skip


class Filled(NamedTuple):
    """A batch as it is to be written. `items`: [[key in hex, row], …], None where nobody wants them."""

    number: int
    objects: int
    items: list[list[Any]] | None
    open: bool


class LastBatch(NamedTuple):
    """The last batch of a run. `open`: more objects go into it."""

    id: int
    number: int
    objects: int
    items: list[list[Any]] | None
    open: bool


class BatchOwner(NamedTuple):
    """Whose batches a run fills. `wanted`: there is a webhook for them; `held`: not before they are confirmed."""

    namespace_id: int
    sync_config_id: int
    job_id: int
    run_id: str
    wanted: bool
    held: bool


async def last_batch(session: AsyncSession, job_id: int, size: int) -> LastBatch | None:
    """The last batch of a run, of `size` objects when it is full."""
    found = await fetch(
        session,
        "SELECT id, batch_number, object_count, CAST(items AS text), status, next_attempt_at FROM delivery"
        " WHERE job_id = ? AND batch_number IS NOT NULL ORDER BY id DESC LIMIT 1",
        (job_id,),
    )
    if not found:
        return None
    number, batch, count, items, status, due = found[0]
    waits = due in ((to_micros(OPEN), to_micros(HELD)) if is_sqlite(session) else (OPEN, HELD))
    grows = count < size and (status == BatchStatus.SKIPPED or (status == BatchStatus.PENDING and waits))
    return LastBatch(number, batch, count, json.loads(items) if items else None, grows)


async def grow_batch(session: AsyncSession, owner: BatchOwner, batch_id: int, filled: Filled, *, now: int) -> None:
    """Writes a batch that was open anew."""
    item_mark = "?" if is_sqlite(session) else "CAST(CAST(? AS text) AS jsonb)"
    await execute(
        session,
        f"UPDATE delivery SET object_count = ?, items = {item_mark}, next_attempt_at = {time_mark(session)}"
        " WHERE id = ?",
        (filled.objects, _items(filled), _due(owner, filled, now), batch_id),
    )
    _wake(session, owner, [filled])


async def add_batches(session: AsyncSession, owner: BatchOwner, batches: Sequence[Filled], *, now: int) -> int | None:
    """Writes new batches, in order. Returns the row of the last one when it is open."""
    status = BatchStatus.PENDING if owner.wanted else BatchStatus.SKIPPED
    rows = [
        (
            owner.namespace_id, owner.sync_config_id, owner.job_id, WebhookEvent.BATCH_READY.value, filled.number,
            filled.objects, _items(filled), f"batch-{owner.run_id}-{filled.number}" if owner.wanted else None,
            status.value, 0, _due(owner, filled, now), now,
        )
        for filled in batches
    ]  # fmt: skip
    await insert_many(session, "delivery", _COLUMNS, rows)
    _wake(session, owner, batches)
    if not batches or not batches[-1].open:
        return None
    found = await fetch(
        session,
        "SELECT id FROM delivery WHERE job_id = ? AND batch_number = ? ORDER BY id DESC LIMIT 1",
        (owner.job_id, batches[-1].number),
    )
    return found[0][0]


async def close_batches(session: AsyncSession, job_id: int, *, now: int) -> None:
    """The run has ended, however it did: its last batch grows no more."""
    await _release(session, "job_id = ?", (job_id,), OPEN, now)


async def release_batches(session: AsyncSession, sync_config_id: int, upto_job_id: int, *, now: int) -> None:
    """The objects of a configuration's runs up to this one were confirmed: their batches may be delivered."""
    await _release(session, "sync_config_id = ? AND job_id <= ?", (sync_config_id, upto_job_id), HELD, now)


async def end_held(session: AsyncSession, sync_config_id: int, *, now: int) -> None:
    """The configuration was archived: nobody confirms any more. What is held is due, which is how it ends SKIPPED."""
    await _release(session, "sync_config_id = ?", (sync_config_id,), HELD, now)


async def _release(session: AsyncSession, where: str, values: tuple[int, ...], state: datetime, now: int) -> None:
    mark = time_mark(session)
    await execute(
        session,
        f"UPDATE delivery SET next_attempt_at = {mark}"
        f" WHERE {where} AND status = 'PENDING' AND next_attempt_at = {mark}",
        (now, *values, to_micros(state)),
    )
    announce(session)


def _wake(session: AsyncSession, owner: BatchOwner, batches: Sequence[Filled]) -> None:
    if owner.wanted and not owner.held and not all(filled.open for filled in batches):
        announce(session)


def _items(filled: Filled) -> str | None:
    return None if filled.items is None else json.dumps(filled.items, separators=(",", ":"))


def _due(owner: BatchOwner, filled: Filled, now: int) -> int | None:
    if not owner.wanted:
        return None
    if owner.held:
        return to_micros(HELD)
    return to_micros(OPEN) if filled.open else now
