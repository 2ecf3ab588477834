"""Objects that the source has no more: collected during the run, judged and marked together at its end."""

from __future__ import annotations

from collections.abc import Sequence

from models import job_state, missing, staging
from models.database import ALL, AsyncSession
from models.sync_configs import OnDelete
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.sync.plan import MISSING_GUARD_MINIMUM
from sluicegate.sync.progress import Phase
from sluicegate.sync.run import Run


async def note_missing(run: Run, session: AsyncSession, keys: Sequence[bytes]) -> None:
    """Remembers files that the listing does not have. Nothing that is shown is marked before all of it is known."""
    plan = run.plan
    if not keys:
        return
    await _drop_waiting(run, session, [(key, 0) for key in keys])
    if plan.on_delete == OnDelete.IGNORE:
        return
    if plan.read or plan.require_confirmation:
        await missing.note_sources(session, run.job_id, plan.project_id, plan.storage_id, keys)
    else:
        await missing.note_files(session, run.job_id, keys)


async def note_missing_rows(run: Run, session: AsyncSession, files: Sequence[tuple[bytes, int]]) -> None:
    """For each (key, first row): remembers that the file has no rows from that one on."""
    plan = run.plan
    if not files:
        return
    await _drop_waiting(run, session, files)
    if plan.on_delete == OnDelete.IGNORE:
        return
    await missing.note_rows(session, run.job_id, plan.project_id, plan.storage_id, files)


async def _drop_waiting(run: Run, session: AsyncSession, files: Sequence[tuple[bytes, int]]) -> None:
    """Rows that nobody has seen need not go missing. Of files that are objects, `import_files` does it."""
    plan = run.plan
    waits = plan.require_confirmation and plan.on_delete != OnDelete.IGNORE
    if waits or (plan.read and not plan.require_confirmation):
        await staging.drop_rows(session, plan.project_id, plan.storage_id, files)


async def reconcile(run: Run) -> None:
    """Marks or removes what is missing, in pieces, unless it is so much that the source itself must be in doubt.

    Raises FatalError (LIMIT) where more than the plan's fraction of over 100 records would go: then none is changed.
    With `require_confirmation` nothing is changed either way: the candidates wait for it.
    """
    plan, progress = run.plan, run.progress
    async with run.database.read(ALL) as session:
        left = await missing.count(session, run.job_id)
        synced = await missing.count_synced(session, plan.project_id, plan.storage_id, plan.range) if left else 0
    if left and not progress.missing:
        shown = 0 if plan.require_confirmation else progress.added + progress.restored
        await _guard(run, left, synced - shown)
    if plan.rescan and not plan.only_keys:
        left = await _note_strays(run)
    if not left:
        return
    await run.show(Phase.RECONCILING)
    if plan.require_confirmation:
        # Told once: one that was killed after it has only its end left.
        if not progress.missing:
            progress.missing = left
            await run.commit(lambda session: run.ledger.missing(session, left))
        return
    remove = plan.on_delete == OnDelete.REMOVE

    async def judge(session: AsyncSession) -> None:
        moment = to_micros(now())
        await run.ledger.missing(session, missing.PIECE)
        await missing.apply(session, run.job_id, plan.project_id, plan.storage_id, now=moment, remove=remove)

    while left:
        # Counted before it is done: the row's counters are written in the same transaction, ahead of the work.
        piece = min(left, missing.PIECE)
        progress.missing += piece
        left -= piece
        await run.commit(judge)
        run.check_stop()


async def _note_strays(run: Run) -> int:
    """What lies outside of a source path that was changed goes without the guard: the change was confirmed."""
    plan = run.plan
    assert plan.sync_config_id is not None
    async with run.database.write(ALL) as session:
        await job_state.save(session, run.handle.claim)
        await staging.drop_strays(session, plan.project_id, plan.storage_id, plan.sync_config_id, plan.range)
        if plan.on_delete != OnDelete.IGNORE:
            await missing.note_strays(
                session, run.job_id, plan.project_id, plan.storage_id, plan.sync_config_id, plan.range
            )
        return await missing.count(session, run.job_id)


async def _guard(run: Run, gone: int, at_stake: int) -> None:
    plan = run.plan
    if plan.allow_mass_missing or at_stake <= MISSING_GUARD_MINIMUM or gone <= plan.max_missing_fraction * at_stake:
        return
    # A retry must look at the source again, not at what this run made of it.
    async with run.database.write(ALL) as session:
        await job_state.save(session, run.handle.claim)
        await missing.forget_runs(session, plan.project_id, plan.storage_id, plan.range)
    raise FatalError(
        f"{gone:,} of {at_stake:,} records are no longer in the source. None of them was changed.",
        code=ErrorCode.LIMIT,
        hint="If the source was emptied or moved on purpose, sync again with allowMassMissing: true.",
    )
