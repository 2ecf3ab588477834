"""What a subscriber costs a gateway: memory of an open WebSocket with one subscription, CPU of one delivery over it.

Run: python -m benchmarks.subscribers [--subscribers 500] [--changes 40]. The gateway is `sluicegate serve`; its CPU and
memory are the kernel's account of that process. All watch one storage, which is renamed again and again. Baseline in
the same run: a rename that nobody watches.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import psutil

from benchmarks.sync import gateway
from tests.support.gateway import GatewayProcess

CREATE = """mutation($project: ID!) { createStorage(input: {projectId: $project, provider: {local: {path: ""}}}) {
  storage { id } errors { message } } }"""
RENAME = "mutation($id: ID!, $title: String!) { updateStorage(input: {id: $id, title: $title}) { errors { message } } }"
WATCH = "subscription($id: ID!) { storage(id: $id) { id title status lastSyncCount updatedAt } }"
AT_ONCE = 25

Events = AsyncGenerator[dict[str, Any], None]


async def rename(running: GatewayProcess, storage: str, changes: int, watching: list[Events]) -> float:
    """CPU seconds of the gateway for so many renames, each seen by all."""
    process = psutil.Process(running.process.pid)
    used = process.cpu_times()
    for number in range(changes):
        await running.data(RENAME, {"id": storage, "title": f"{len(watching)}-{number}"})
        await asyncio.gather(*(anext(events) for events in watching))
    now = process.cpu_times()
    return now.user + now.system - used.user - used.system


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subscribers", type=int, default=500)
    parser.add_argument("--changes", type=int, default=40)
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = await stack.enter_async_context(gateway(SLUICEGATE_LOCAL_ROOTS=f"default={folder}"))
        made = await running.data('mutation { createProject(input: {name: "bench"}) { project { id } } }')
        answer = await running.data(CREATE, {"project": made["createProject"]["project"]["id"]})
        storage: str = answer["createStorage"]["storage"]["id"]
        process = psutil.Process(running.process.pid)
        alone = await rename(running, storage, options.changes, [])
        before = process.memory_info().rss
        watching: list[Events] = []
        for start in range(0, options.subscribers, AT_ONCE):
            count = min(AT_ONCE, options.subscribers - start)
            opened = [await stack.enter_async_context(aclosing(_open(running, storage))) for _ in range(count)]
            await asyncio.gather(*(anext(events) for events in opened))
            watching += opened
        grown = process.memory_info().rss - before
        used = await rename(running, storage, options.changes, watching)
    deliveries = options.subscribers * options.changes
    print(f"{options.subscribers} subscribers over WebSocket, {options.changes} changes of what all watch")
    print(f"memory      {grown / options.subscribers / 1024:6.1f} KB resident a subscriber")
    print(f"delivery    {(used - alone) / deliveries * 1e6:6.1f} µs CPU")
    print(f"baseline    {alone / options.changes * 1e3:6.2f} ms CPU a change that nobody watches")


def _open(running: GatewayProcess, storage: str) -> Events:
    return running.subscribe(WATCH, {"id": storage})


if __name__ == "__main__":
    asyncio.run(main())
