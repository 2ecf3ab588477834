"""A run over single keys: those that the source told of, or that someone wants tried again. Nothing is listed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from models import job_state, missing, source_keys
from models.database import ALL, AsyncSession
from models.source_events import NO_CONFIG
from sluicegate.providers.base import Entry
from sluicegate.sync.blobs import import_files
from sluicegate.sync.changes import known_rows
from sluicegate.sync.filters import rejected
from sluicegate.sync.progress import Phase
from sluicegate.sync.reads import read_files
from sluicegate.sync.run import LimitReached, Run, Work

CHUNK = 500
"""Keys that are looked at between two looks for more."""


async def import_keys(run: Run) -> None:
    """Brings the catalogue up to the source for all keys that wait, in order of the key.

    Raises LimitReached with keys left, RetriableError when the source can't be asked.
    """
    plan = run.plan
    owner = (plan.storage_id, plan.sync_config_id or NO_CONFIG)
    await run.show(Phase.LISTING)
    while True:
        async with run.database.read(ALL) as session:
            waiting = await source_keys.waiting(session, *owner, CHUNK if run.room is None else min(CHUNK, run.room))
            left = bool(waiting) or await source_keys.waiting(session, *owner, 1)
        if not waiting:
            if left:
                raise LimitReached
            run.progress.listing_complete = True
            return
        run.check_stop()
        run.progress.phase = Phase.IMPORTING
        await _import_chunk(run, waiting)


async def _import_chunk(run: Run, waiting: Sequence[tuple[bytes, datetime]]) -> None:
    plan = run.plan
    keys, last = [key for key, _ in waiting], waiting[-1][0]
    covered = [key for key in keys if plan.range.covers(key)]
    async with run.database.write(ALL) as session:
        # What this run or an interrupted one missed before may be there again: this look tells.
        await job_state.save(session, run.handle.claim)
        await missing.forget_keys(session, plan.project_id, plan.storage_id, covered)
    entries = await _stat_all(run, covered)
    left_out = await rejected(plan.filters, entries)
    run.ledger.looked_at(keys)

    def through(upto: bytes) -> Work:
        done = [told for told in waiting if told[0] <= upto]

        async def forget(session: AsyncSession) -> None:
            await source_keys.done(session, plan.storage_id, plan.sync_config_id or NO_CONFIG, done)

        return forget

    if plan.read:
        async with run.database.read(ALL) as session:
            sources = await source_keys.known_sources(session, plan.project_id, plan.storage_id, covered)
        await read_files(run, entries, sources, left_out, last, through)
        return
    async with run.database.read(ALL) as session:
        found = await known_rows(run, session, covered, 0, 0)
    files = sorted((key, old.fingerprint, old.status) for (key, _), old in found.items())
    await import_files(run, entries, files, left_out, last, through(last))


async def _stat_all(run: Run, keys: Sequence[bytes]) -> list[Entry]:
    """The entries of those that are there."""
    tasks = [asyncio.create_task(run.pace.call(lambda key=key: run.provider.stat(key))) for key in keys]
    try:
        found = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [described.entry for described in found if described is not None]
