"""How a run begins that does not go on from a checkpoint of its own."""

from __future__ import annotations

from typing import Any, cast

from models import (
    catalogue,
    config_runs,
    config_transitions,
    content_hashes,
    job_state,
    leftovers,
    missing,
    run_records,
    staging,
)
from models.content_hashes import Unhashed
from models.database import ALL, AsyncSession
from models.ranges import KeyRange
from models.storages import Storage
from sluicegate.core.clock import now, to_micros
from sluicegate.providers.base import Entry
from sluicegate.sync.position import Position, usable
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.run import Run


async def begin(run: Run) -> None:
    """Makes the catalogue ready: what earlier runs left goes, unless one of them ended at its limit: then this goes on.

    Leaves the run's position and counters at their start.
    """
    plan = run.plan
    limited = run.position if run.position.limited else None
    run.progress = Progress()
    run.position = Position(prefix=plan.range.low, since=run.progress.started_at)
    await run.show(Phase.CONNECTING)
    if plan.dry_run:
        return
    if limited is not None or await _go_on_from_another(run):
        if limited is not None:
            await _go_on_from(run, limited, run.job_id)
    else:
        await _prepare(run)
    if plan.skip_duplicates:
        await _hash_known(run)


async def _go_on_from_another(run: Run) -> bool:
    """Takes over from the configuration's last run, where that ended at its limit."""
    plan, job_id = run.plan, run.job_id
    if plan.sync_config_id is None or not plan.resume:
        return False
    async with run.database.read(ALL) as session:
        found = await config_runs.limited_runs(session, plan.sync_config_id, job_id)
    for other, saved in found:
        state = cast("dict[str, Any]", saved)
        if usable(state, plan.digest) and state["limited"]:
            await _go_on_from(run, Position.from_json(state), other)
            return True
    return False


async def _go_on_from(run: Run, position: Position, other: int) -> None:
    """Goes on where the run of the job `other` ended at its limit; it may be this one."""
    plan, job_id, partial = run.plan, run.job_id, position.partial
    position.limited = False
    if plan.only_keys:
        # The keys that wait may lie before those that are through.
        position.cursor, position.after = None, b""
    if partial is not None:
        partial.before = Progress().to_json()
    run.position = position

    async def take_over(session: AsyncSession) -> None:
        if partial is not None:
            # What that run told of the rows before this position, this one does not look at again.
            moment = to_micros(now())
            await run_records.take_letters(session, run.scope, partial.key, other=other, job_id=job_id, now=moment)
        if other != job_id:
            await missing.take_over(session, job_id, other)
            await config_runs.drop_checkpoint(session, other)

    await run.commit(take_over)


async def _prepare(run: Run) -> None:
    """What earlier runs left is no use to this one, and what this one finds makes it wrong for them."""
    plan = run.plan
    project_id, storage_id, keys = plan.project_id, plan.storage_id, plan.range
    inner = KeyRange.of_prefix(plan.prefix)
    async with run.database.read(ALL) as session:
        # The usual case takes no write lock.
        clear = plan.remapped or await leftovers.any_leftovers(
            session, project_id, storage_id, keys, versions=not plan.require_confirmation, files=not plan.read
        )
        if plan.prefix != keys.low and not await config_runs.has_outside(session, project_id, storage_id, keys, inner):
            # What the filters leave out anyway need not be listed, unless something there may have to go missing.
            run.position.prefix = plan.prefix
    if clear:
        await _clear(run)
    if plan.read and not plan.only_keys:
        await _enter_read_mode(run)


async def _clear(run: Run) -> None:
    plan = run.plan
    project_id, storage_id, keys = plan.project_id, plan.storage_id, plan.range
    async with run.database.write(ALL) as session:
        if plan.remapped and plan.sync_config_id is not None:
            # Ahead of the job, as all do.
            await config_transitions.lock(session, plan.sync_config_id)
        # The fence first: a run that lost its lease must not drop what the one after it has found.
        await job_state.save(session, run.handle.claim)
        if not plan.only_keys:
            await missing.forget_runs(session, project_id, storage_id, keys)
        if not plan.require_confirmation:
            await staging.drop_versions(session, project_id, storage_id, keys)
        if not plan.read:
            await catalogue.enter_blob_mode(session, project_id, storage_id, to_micros(now()), keys)
        if plan.sync_config_id is None or not plan.remapped:
            return
        if not await config_runs.knows_any(session, project_id, storage_id, keys):
            # Nothing is of another mapping: should this run end early, the next need not map all of it again.
            await config_runs.note_mapping(session, plan.sync_config_id, plan.mapping_digest)


async def _enter_read_mode(run: Run) -> None:
    """Files that BLOB runs recorded, over all of the range or a part of it, are known, but not read yet."""
    plan, after = run.plan, b""
    while True:
        async with run.database.read(ALL) as session:
            found = await catalogue.unread_files(session, plan.project_id, plan.storage_id, after, plan.range)
        if not found:
            return
        after = found[-1]
        async with run.database.write(ALL) as session:
            await job_state.save(session, run.handle.claim)
            scope = (plan.namespace_id, plan.project_id, plan.storage_id)
            await catalogue.record_sources(session, [(*scope, key, "", 1, 0) for key in found])
        run.check_stop()


async def _hash_known(run: Run) -> None:
    """Notes the content of the project's objects that lack a hash, as far as the listing told it."""
    after = 0
    foreign: dict[int, bool] = {run.plan.storage_id: False}
    async with run.database.read(ALL) as session:
        kind = (await session.get_one(Storage, run.plan.storage_id)).type
    while True:
        async with run.database.read(ALL) as session:
            found = await content_hashes.unhashed(session, run.plan.project_id, after)
            for storage_id in {row.storage_id for row in found} - foreign.keys():
                foreign[storage_id] = (await session.get_one(Storage, storage_id)).type != kind
        if not found:
            return
        after = found[-1].id
        hashes = [
            (content, row.id, row.fingerprint)
            for row in found
            if (content := _known_hash(run, row, foreign=foreign[row.storage_id])) is not None
        ]
        if hashes:
            async with run.database.write(ALL) as session:
                await job_state.save(session, run.handle.claim)
                await content_hashes.note(session, hashes)
        run.check_stop()


def _known_hash(run: Run, row: Unhashed, *, foreign: bool) -> str | None:
    if row.is_record:
        return content_hashes.ROW_HASH + row.fingerprint
    # Providers of one kind say the same of the same fingerprint; of another kind's nothing is known here.
    return None if foreign else run.provider.content_hash(Entry(row.key, row.size, None, row.fingerprint))
