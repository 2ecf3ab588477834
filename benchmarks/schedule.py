"""What the schedule of many sync configurations costs: CPU of the ticker, and of a run that does nothing.

Run: python -m benchmarks.schedule [--configs 5000] [--runs 500]. All configurations are CONTINUOUS and due in the same
moment, on SQLite; CPU is of this process with its database threads. Baseline in the same run: a job inserted as a
request for one is, in a transaction of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from benchmarks.schedule_runs import Silent, unchanged
from models import job_state
from models.database import ALL, Database
from models.jobs import Job, JobStatus
from models.sync_configs import SyncConfig, SyncConfigStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.core.clock import now
from sluicegate.jobs.announce import Announcer
from sluicegate.jobs.schedule import Schedule
from sluicegate.jobs.worker import WorkerOptions
from tests.support.jobs import Clock, Done, Scripted, Tenant, jobs_of, make_schema, make_tenant

MINUTE = 60.0
SINGLY = 300
RUNS = 500


async def add_configs(database: Database, tenant: Tenant, count: int, due: datetime) -> None:
    async with database.write(ALL) as session:
        session.add_all(
            SyncConfig(
                namespace_id=tenant.namespace_id, project_id=tenant.project_id, storage_id=tenant.storage_id,
                source_path=f"{number:08}/", range_low=b"%08d/" % number, range_high=b"%08d0" % number,
                status=SyncConfigStatus.ACTIVE, next_sync_at=due,
            )
            for number in range(count)
        )  # fmt: skip


async def tick(database: Database, at: datetime) -> float:
    """CPU seconds in which the ticker starts all that is due."""
    ticker = Schedule(database, Announcer(Silent()), started=lambda: None, clock=Clock(at))
    began = time.process_time()
    await ticker.tick(at)
    return time.process_time() - began


async def started_once(database: Database, count: int) -> bool:
    async with database.read(ALL) as session:
        runs = Counter(await session.scalars(select(Job.sync_config_id).where(Job.sync_config_id.is_not(None))))
    return len(runs) == count and set(runs.values()) == {1}


async def singly(database: Database, tenant: Tenant) -> float:
    """CPU seconds of one job made as for a request."""
    began = time.process_time()
    for number in range(SINGLY):
        async with database.write(ALL) as session:
            await job_state.insert(
                session, namespace_id=tenant.namespace_id, job_class="TEST", unicity=f"test:{number}", payload={},
                created_by=SYSTEM,
            )  # fmt: skip
    return (time.process_time() - began) / SINGLY


async def drain(database: Database, tenant: Tenant) -> tuple[float, float]:
    """(CPU, wall) seconds of a run whose class ends at once, while all the others wait."""

    async def at_once(_handle: Any) -> Done:
        return Done()

    classes, options = [Scripted(at_once, name="SYNC_CONFIG")], WorkerOptions()
    async with jobs_of(database, classes, tenant=tenant, options=options) as jobs:
        used, began = time.process_time(), time.monotonic()
        while jobs.service.started < RUNS:
            await asyncio.sleep(0.05)
            jobs.events.states.clear()
        done = jobs.service.started
        return (time.process_time() - used) / done, (time.monotonic() - began) / done


async def main(count: int, runs: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        await make_schema(database)
        tenant = await make_tenant(database)
        baseline = await singly(database, tenant)
        async with database.write(ALL) as session:
            await session.execute(update(Job).values(status=JobStatus.COMPLETED, finished_at=now()))
        due = now()
        await add_configs(database, tenant, count, due)
        first = await tick(database, due)
        async with database.read(ALL) as session:
            made = await session.scalar(select(func.count(Job.id)).where(Job.sync_config_id.is_not(None))) or 0
        busy = await tick(database, due + timedelta(seconds=300))
        once = await started_once(database, count)
        cpu, wall = await drain(database, tenant)
        await database.close()
    each = first / count
    print(
        f"{count:,} configurations due in the same moment: {made:,} runs started, {'each once' if once else 'NOT ONCE'}"
    )
    print(f"ticker            {first:8.2f} s CPU   {first / MINUTE:6.1%} of a core over the minute (bar 5 %)")
    print(f"a run's start     {each * 1e6:8.0f} µs CPU  a job made as for a request {baseline * 1e6:8.0f} µs"
          f"   ({baseline / each:.1f} times)")  # fmt: skip
    print(f"all still running {busy:8.2f} s CPU   {busy / MINUTE:6.1%} of a core: looked at, none started twice")
    print(
        f"an empty run      {cpu * 1e3:8.2f} ms CPU  claimed, run, ended beside the backlog; {1 / wall:,.0f} a second"
    )
    await whole_runs(runs)
    return int(not once or made != count)


async def whole_runs(count: int) -> None:
    """What the service does with runs that find what they know."""
    cost = await unchanged(count)
    print(
        f"an unchanged run  {cost.cpu * 1e3:8.2f} ms CPU  from its slot to its end; {1 / cost.wall:,.0f} a second, "
        f"{cost.statements:.0f} statements, {cost.transactions:.0f} write transactions"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--configs", type=int, default=5_000, help=f"at least {RUNS}")
    parser.add_argument("--runs", type=int, default=RUNS, help="unchanged ones, over a canned bucket")
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.configs, options.runs)))
