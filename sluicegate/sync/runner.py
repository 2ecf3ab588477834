"""A run from claim to end: checkpoint, listing, import, what is missing, result."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from models import catalogue, checkpoints, job_state
from models.database import ALL
from models.jobs import JobStatus
from models.storages import Storage
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import FatalError, InvalidError
from sluicegate.sync.blobs import import_blobs
from sluicegate.sync.metering import Meter
from sluicegate.sync.missing import reconcile
from sluicegate.sync.plan import plan_of_storage
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.reads import import_reads
from sluicegate.sync.run import Position, Run, RunHandle, Stopped, plan_digest
from sluicegate.sync.samples import report
from sluicegate.sync.services import SyncServices

SHOW_SECONDS = 0.2
"""Subscribers get a state at least so often while a run is under way."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `status` None: it stopped at a checkpoint, as asked. `columns`: the job row's last values."""

    status: JobStatus | None
    columns: dict[str, Any]


async def run_sync(handle: RunHandle, services: SyncServices) -> RunResult:
    """Runs one sync job. Raises RunError, and FencedError when another run has taken the job."""
    job = handle.job
    async with services.database.read(ALL) as session:
        storage = await session.get(Storage, job.storage_id)
        saved = await checkpoints.load(session, job.id)
    if storage is None or storage.deleted_at is not None:
        raise FatalError("The storage was deleted.")
    try:
        plan = plan_of_storage(storage, job.payload)
    except InvalidError as error:
        raise FatalError(error.message, code=error.code, hint=error.hint) from None
    digest = plan_digest(storage, plan)
    async with services.open_provider(storage) as provider:
        run = Run(handle, services.database, provider, plan, digest)
        if saved is not None and saved["plan"] == digest and not plan.dry_run:
            run.position, run.progress = Position.from_json(saved), Progress.from_json(saved["progress"])
        else:
            await _prepare(run)
        meter = Meter(run.progress)
        shower = asyncio.create_task(_show(run, meter))
        try:
            await _import(run)
        except Stopped:
            return RunResult(None, _columns(run))
        finally:
            shower.cancel()
            await asyncio.gather(shower, return_exceptions=True)
            meter.count(run.progress)
            await run.parquet.close()
    return await _end(run)


async def _prepare(run: Run) -> None:
    """What earlier runs left is no use to this one, and what this one finds makes it wrong for them."""
    plan = run.plan
    await run.show(Phase.CONNECTING)
    if plan.dry_run:
        return

    async with run.database.write(ALL) as session:
        # The fence first: a run that lost its lease must not drop what the one after it has found.
        await job_state.save(session, run.handle.claim)
        await catalogue.forget_runs(session, plan.storage_id)
        if plan.read:
            await catalogue.enter_read_mode(session, plan.project_id, plan.storage_id)
        else:
            await catalogue.enter_blob_mode(session, plan.project_id, plan.storage_id, to_micros(now()))


async def _import(run: Run) -> None:
    import_page = import_reads if run.plan.read else import_blobs
    if not run.position.listed:
        await run.show(Phase.LISTING)
        run.check_stop()
        async with aclosing(run.pages()) as pages:
            async for entries in pages:
                run.progress.phase = Phase.IMPORTING
                await import_page(run, entries, entries[-1].key)
        await import_page(run, [], None)
        run.position.listed = run.progress.listing_complete = True
    if not run.plan.dry_run:
        await reconcile(run)


async def _end(run: Run) -> RunResult:
    progress = run.progress
    progress.phase, progress.listing_complete, progress.current_object = Phase.DONE, True, None
    progress.measure()
    if run.plan.dry_run:
        progress.dry_run_report = report(progress)
    status = JobStatus.COMPLETED_WITH_ERRORS if progress.failed else JobStatus.COMPLETED
    return RunResult(status, {**_columns(run), "progress": 1.0})


def _columns(run: Run) -> dict[str, Any]:
    return {"sync": run.progress.to_json(), "progress": run.progress.fraction}


async def _show(run: Run, meter: Meter) -> None:
    """Samples the pace and shows it, until cancelled."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        # By the clock, not from the last time on: what a busy loop delays is not delayed further.
        due = max(due + SHOW_SECONDS, loop.time())
        await asyncio.sleep(due - loop.time())
        run.progress.measure()
        meter.count(run.progress)
        await run.show()
