"""A run from claim to end: checkpoint, listing, import, what is missing, result."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from models import checkpoints, config_runs, source_keys
from models.database import ALL, AsyncSession
from models.jobs import Job, JobStatus
from models.projects import Project
from models.storages import Storage
from models.sync_configs import SyncConfig
from sluicegate.core.errors import FatalError, InvalidError
from sluicegate.sync.blobs import import_blobs
from sluicegate.sync.keys import import_keys
from sluicegate.sync.metering import Meter
from sluicegate.sync.missing import reconcile
from sluicegate.sync.plan import SyncPlan, plan_of_config, plan_of_storage
from sluicegate.sync.position import Position, usable
from sluicegate.sync.progress import Phase, Progress
from sluicegate.sync.reads import import_reads
from sluicegate.sync.run import LimitReached, Run, RunHandle, Stopped, Work
from sluicegate.sync.samples import report
from sluicegate.sync.services import SyncServices
from sluicegate.sync.start import begin

SHOW_SECONDS = 0.2
"""Subscribers get a state at least so often while a run is under way."""
STOP_SECONDS = 0.25
"""So long a run that is to end has to get to a checkpoint; then what it awaits is cut off."""
COMMIT_SECONDS = 0.4
"""And so long the commit that it is in."""
CLOCKS_APART = timedelta(minutes=1)
"""By so much the clocks of those who note keys and of those who list may differ."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended. `status` None: it stopped at a checkpoint, as asked. `columns`: the job row's last values.

    `also`: is written with them, ahead of the status.
    """

    status: JobStatus | None
    columns: dict[str, Any]
    also: Work | None = None


async def run_sync(handle: RunHandle, services: SyncServices) -> RunResult:
    """Runs one sync job. Raises RunError, and FencedError when another run has taken the job."""
    job = handle.job
    async with services.database.read(ALL) as session:
        storage = await session.get(Storage, job.storage_id)
        saved = await checkpoints.load(session, job.id)
        if storage is None or storage.deleted_at is not None:
            raise FatalError("The storage was deleted.")
        plan = await _plan(session, job, storage)
    async with services.open_provider(storage) as provider:
        run = Run(handle, services.database, provider, plan)
        goes_on = saved is not None and usable(saved, plan.digest) and plan.resume and not plan.dry_run
        if saved is not None and goes_on:
            run.position, run.progress = Position.from_json(saved), Progress.from_json(saved["progress"])
            run.saved = saved["progress"]
            # A run that has ended at its limit begins anew behind it: its retry has a limit of its own.
            goes_on = not (run.position.limited and job.sync is not None and job.sync["phase"] == Phase.DONE)
        meter = Meter(run.progress)
        shower = asyncio.create_task(_show(run, meter))
        try:
            if not goes_on:
                await begin(run)
            await run.ledger.begin(fresh=not goes_on)
            await _until_stopped(run)
        except Stopped:
            return RunResult(None, _columns(run))
        finally:
            shower.cancel()
            await asyncio.gather(shower, return_exceptions=True)
            meter.count(run.progress)
            await run.parquet.close()
    return _end(run)


async def _plan(session: AsyncSession, job: Job, storage: Storage) -> SyncPlan:
    try:
        if job.sync_config_id is None:
            return plan_of_storage(storage, job.payload)
        config = await session.get(SyncConfig, job.sync_config_id)
        if config is None:
            raise FatalError("The configuration was deleted.")
        project = await session.get(Project, config.project_id)
        if project is None:
            raise FatalError("The project was deleted.")
        return plan_of_config(config, storage, job.payload, object_schema=project.object_schema)
    except InvalidError as error:
        raise FatalError(error.message, code=error.code, hint=error.hint) from None


async def _until_stopped(run: Run) -> None:
    """Imports. Raises Stopped soon after the run is to end, whatever it waits for: then its last commit stands."""
    work = asyncio.create_task(_import(run))
    stop = asyncio.create_task(run.handle.stop.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=STOP_SECONDS)
        if not work.done() and run.committing:
            await asyncio.wait({work}, timeout=COMMIT_SECONDS)
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
            raise Stopped
        work.result()
    finally:
        stop.cancel()
        work.cancel()
        await asyncio.gather(stop, work, return_exceptions=True)


async def _import(run: Run) -> None:
    plan = run.plan
    # One that was killed at its limit has only its end left.
    limited = run.position.limited or not await _all_seen(run)
    # What a listing lacks is known at its end; of single keys, as they are looked at. What waits is told once.
    if plan.dry_run or (limited and (not plan.only_keys or plan.require_confirmation)):
        return
    await reconcile(run)
    config = plan.sync_config_id
    if not plan.only_keys:
        run.ledger.listed()
    if config is None or plan.only_keys:
        if run.ledger.waits:
            await run.commit()
        return

    async def note(session: AsyncSession) -> None:
        await config_runs.note_listed(session, config, plan.range, plan.mapping_digest)
        if run.position.since:
            before = datetime.fromisoformat(run.position.since) - CLOCKS_APART
            await source_keys.drop_old(session, plan.storage_id, config, before)

    if run.ledger.waits:
        await run.commit()
    run.closing = note


async def _all_seen(run: Run) -> bool:
    """Looks at everything that there is; False: the run is at its limit."""
    try:
        if run.plan.only_keys:
            await import_keys(run)
        elif not run.position.listed:
            await _list(run)
    except LimitReached:
        run.position.limited, run.progress.pending = True, 0
        await run.commit()
        return False
    return True


async def _list(run: Run) -> None:
    import_page = import_reads if run.plan.read else import_blobs
    await run.show(Phase.LISTING)
    run.check_stop()
    async with aclosing(run.pages()) as pages:
        async for entries in pages:
            run.progress.phase = Phase.IMPORTING
            await import_page(run, entries, entries[-1].key)
    await import_page(run, [], None)
    run.position.listed = run.progress.listing_complete = True


def _end(run: Run) -> RunResult:
    progress = run.progress
    progress.phase, progress.listing_complete, progress.current_object = Phase.DONE, not run.position.limited, None
    progress.measure()
    if run.plan.dry_run:
        progress.dry_run_report = report(progress)
    status = JobStatus.COMPLETED_WITH_ERRORS if progress.failed else JobStatus.COMPLETED
    return RunResult(status, {"sync": progress.to_json(), "progress": 1.0}, run.closing)


def _columns(run: Run) -> dict[str, Any]:
    """The counters of the last commit: what came after it was taken back with it."""
    progress = run.progress
    if run.saved is not None:
        progress = Progress.from_json(run.saved)
    elif run.deferred:
        progress = Progress(phase=progress.phase, started_at=progress.started_at)
    return {"sync": progress.to_json(), "progress": progress.fraction}


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
