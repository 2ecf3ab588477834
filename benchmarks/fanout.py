"""CPU of one delivery: a job's state published over `memory://` to many watchers of the hub.

`python -m benchmarks.fanout [watchers] [states]`. Prints microseconds of CPU a delivery, beside the plain way:
broadcaster alone, one `subscribe()` and one JSON decode for each watcher.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import cast

from broadcaster import Broadcast, Event

from models.jobs import Job, JobStatus
from models.wire import from_wire, to_wire
from sluicegate.core.clock import now
from sluicegate.events import Hub, Topic
from sluicegate.events.messages import dumps


def job(revision: int, *, finished: bool = False) -> Job:
    counters = dict.fromkeys(
        ("objectsFound", "objectsSynced", "objectsUnchanged", "bytesFound", "bytesSynced"), revision
    )
    return Job(
        id=1, namespace_id=1, job_class="SYNC_STORAGE", priority=0,
        status=JobStatus.COMPLETED if finished else JobStatus.IN_PROGRESS, progress=0.5, run_id="run", payload={},
        sync=counters, storage_id=1, project_id=1, created_at=now(), updated_at=now(), started_at=now(),
        created_by_kind="SYSTEM", created_by_name="", row_rev=revision, fence=1,
        retry_count=0, max_retries=3, trigger="MANUAL",
    )  # fmt: skip


async def through_the_hub(watchers: int, states: int) -> tuple[float, int]:
    row = job(0)

    async def read(_: int) -> Job:
        return row

    hub = Hub("memory://", [Topic("job", to_wire, partial(from_wire, Job), read, lambda state: state.finished)])
    await hub.start()
    taken = asyncio.Semaphore(0)

    async def watch() -> None:
        async with hub.watch("job", 1) as changes:
            async for _ in changes:
                taken.release()

    readers = [asyncio.create_task(watch()) for _ in range(watchers)]
    for _ in readers:
        await taken.acquire()
    started = time.process_time()
    for revision in range(1, states + 1):
        await hub.publish("job", job(revision, finished=revision == states))
        for _ in readers:
            await taken.acquire()
    spent = time.process_time() - started
    await asyncio.gather(*readers)
    await hub.close()
    return spent, hub.stats.delivered - watchers


async def through_broadcaster(watchers: int, states: int) -> tuple[float, int]:
    taken = asyncio.Semaphore(0)
    async with Broadcast("memory://") as broadcast:

        async def watch() -> None:
            async with broadcast.subscribe("job:1") as events:
                taken.release()
                async for event in cast("AsyncIterator[Event]", events):
                    from_wire(Job, json.loads(event.message))
                    taken.release()

        readers = [asyncio.create_task(watch()) for _ in range(watchers)]
        for _ in readers:
            await taken.acquire()
        started = time.process_time()
        for revision in range(1, states + 1):
            await broadcast.publish("job:1", dumps(to_wire(job(revision))))
            for _ in readers:
                await taken.acquire()
        spent = time.process_time() - started
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return spent, watchers * states


async def main() -> None:
    given = [int(text) for text in sys.argv[1:3]]
    watchers, states = [*given, *[1_000, 100][len(given) :]]
    spent, deliveries = await through_the_hub(watchers, states)
    hub = spent / deliveries * 1e6
    spent, deliveries = await through_broadcaster(watchers, states)
    plain = spent / deliveries * 1e6
    print(f"{watchers:,} watchers, {states} states of one job")
    print(f"hub               {hub:8.2f} µs CPU a delivery")
    print(f"broadcaster alone {plain:8.2f} µs CPU a delivery   ({plain / hub:.1f} times the hub)")


if __name__ == "__main__":
    asyncio.run(main())
