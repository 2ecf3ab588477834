"""Objects that the source has no more: collected during the run, judged and marked together at its end."""

from __future__ import annotations

from collections.abc import Sequence

from models import catalogue, job_state
from models.database import ALL, AsyncSession
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.sync.plan import MISSING_GUARD_MINIMUM
from sluicegate.sync.progress import Phase
from sluicegate.sync.run import Run


async def note_missing(run: Run, session: AsyncSession, keys: Sequence[bytes]) -> None:
    """Remembers files that the listing does not have. Nothing is marked before the whole listing is known."""
    if not keys:
        return
    plan = run.plan
    if plan.read:
        await catalogue.note_missing_sources(session, run.job_id, plan.project_id, plan.storage_id, keys)
    else:
        await catalogue.note_missing_files(session, run.job_id, keys)


async def reconcile(run: Run) -> None:
    """Marks what is missing, in pieces, unless it is so much that the source itself must be in doubt.

    Raises FatalError (LIMIT) where more than the plan's fraction of over 100 records would go: then none is changed.
    """
    plan, progress = run.plan, run.progress
    async with run.database.read(ALL) as session:
        left = await catalogue.count_missing(session, run.job_id)
        synced = await catalogue.count_synced(session, plan.project_id, plan.storage_id) if left else 0
    if not left:
        return
    if not progress.missing:
        await _guard(run, left, synced - progress.added - progress.restored)
    await run.show(Phase.RECONCILING)

    async def mark(session: AsyncSession) -> None:
        await catalogue.apply_missing(session, run.job_id, plan.project_id, plan.storage_id, now=to_micros(now()))

    while left:
        # Counted before it is done: the row's counters are written in the same transaction, ahead of the work.
        piece = min(left, catalogue.MISSING_PIECE)
        progress.missing += piece
        left -= piece
        await run.commit(mark)
        run.check_stop()


async def _guard(run: Run, missing: int, at_stake: int) -> None:
    plan = run.plan
    if plan.allow_mass_missing or at_stake <= MISSING_GUARD_MINIMUM or missing <= plan.max_missing_fraction * at_stake:
        return
    # A retry must look at the source again, not at what this run made of it.
    async with run.database.write(ALL) as session:
        await job_state.save(session, run.handle.claim)
        await catalogue.forget_runs(session, plan.storage_id)
    raise FatalError(
        f"{missing:,} of {at_stake:,} records are no longer in the source. None of them was changed.",
        code=ErrorCode.LIMIT,
        hint="If the source was emptied or moved on purpose, sync again with allowMassMissing: true.",
    )
