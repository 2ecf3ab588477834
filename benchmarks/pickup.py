"""From the commit of a job to the start of its run on PostgreSQL, in the process that made it and in another.

Run: python -m benchmarks.pickup [--jobs 200]. One job at a time, then many at once. Baseline in the same run: the same
jobs through the engine in memory, on SQLite.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from models.database import Database
from sluicegate.jobs.worker import WorkerOptions
from tests.support.jobs import Done, Jobs, Scripted, jobs_of, make_schema
from tests.support.postgres import PostgresServer

BURST = 8  # for each job that is measured alone


class Timed:
    """Notes when each run begins."""

    def __init__(self) -> None:
        self.begun: dict[int, float] = {}
        self.scripted = Scripted(self._run)

    async def _run(self, handle: Any) -> Done:
        self.begun[handle.job.id] = time.perf_counter()
        return Done()


async def alone(jobs: Jobs, timed: Timed, count: int) -> list[float]:
    """Milliseconds from each commit to the run, one job after the other."""
    waits: list[float] = []
    for _ in range(count):
        job = await jobs.enqueue()
        asked = time.perf_counter()
        await timed.scripted.wait_begun()
        waits.append((timed.begun[job.id] - asked) * 1e3)
    return waits


async def burst(jobs: Jobs, timed: Timed, count: int) -> float:
    """Jobs a second, from the first commit to the last start."""
    began = time.perf_counter()
    for _ in range(count):
        await jobs.enqueue()
    for _ in range(count):
        await timed.scripted.wait_begun()
    return count / (time.perf_counter() - began)


@asynccontextmanager
async def services(database: Database, *, apart: bool) -> AsyncGenerator[tuple[Jobs, Timed]]:
    """Who enqueues, and the runs of who works: the same service, or another with connections of its own."""
    timed = Timed()
    async with jobs_of(database, [timed.scripted], start=not apart, options=WorkerOptions()) as jobs:
        if not apart:
            yield jobs, timed
            return
        other = Database(database.url)
        async with jobs_of(other, [timed.scripted], tenant=jobs.tenant, options=WorkerOptions()):
            yield jobs, timed
        await other.close()


async def measure(name: str, url: str, count: int, *, apart: bool = False) -> float:
    """Prints one line; returns the median in milliseconds."""
    database = Database(url)
    await make_schema(database)
    async with services(database, apart=apart) as (jobs, timed):
        await alone(jobs, timed, 5)
        before = time.process_time()
        waits = sorted(await alone(jobs, timed, count))
        cpu = (time.process_time() - before) / count
        rate = await burst(jobs, timed, BURST * count)
    await database.close()
    median = statistics.median(waits)
    print(
        f"{name:<36} {median:6.1f} ms median  {waits[int(0.95 * count)]:6.1f} ms p95   "
        f"{cpu * 1e3:5.1f} ms CPU a job   many at once: {rate:5.0f} a second"
    )
    return median


async def main(count: int) -> int:
    """Prints all; returns 1 when the bar of 30 ms is missed."""
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
        baseline = await measure("SQLite, in memory (baseline)", f"sqlite:///{Path(folder) / 'bench.db'}", count)
        same = await measure("PostgreSQL, one process", await server.create_database(), count)
        apart = await measure("PostgreSQL, enqueued by another", await server.create_database(), count, apart=True)
    print(f"PostgreSQL takes {same / baseline:.1f} and {apart / baseline:.1f} times as long (bar: 30 ms)")
    return int(max(same, apart) > 30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=200, help="measured one by one")
    sys.exit(asyncio.run(main(parser.parse_args().jobs)))
