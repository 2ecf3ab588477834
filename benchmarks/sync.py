"""What a sync costs the whole gateway process: CPU an object, memory, SQL, and how soon and often it shows.

Run: python -m benchmarks.sync [--keys 100000] [--read 10000] [--million]. The bucket is a canned server in a process of
its own; the gateway is `sluicegate serve` on SQLite; its CPU and memory are the kernel's account of that process.
Baseline in the same run: aioboto3's paginator listing the same bucket, and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import event

from benchmarks.listing import aioboto3_paginator, responder
from tests.support.gateway import GatewayProcess, gateway_process
from tests.support.s3_responder import Canned, S3Responder
from tests.support.sync_harness import harness

CREATE = """mutation($project: ID!, $endpoint: String!, $blobs: Boolean!) { createStorage(input: {projectId: $project,
  useBlobUrls: $blobs, provider: {s3: {bucket: "bucket", s3Endpoint: $endpoint, regionName: "us-east-1",
  awsAccessKeyId: "A", awsSecretAccessKey: "B"}}}) { storage { id } errors { message } } }"""
WATCH = """subscription($id: ID!) { job(id: $id) { status ... on SyncJob { sync { phase objectsFound objectsSynced
  objectsUnchanged objectsFailed } } } }"""
SYNC = "mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } errors { message } } }"


@dataclass
class Cost:
    """One sync, seen from outside the gateway."""

    objects: int
    cpu: float
    wall: float
    rss_mb: float
    first_ms: float
    updates_per_second: float


@asynccontextmanager
async def gateway(**env: str) -> AsyncGenerator[GatewayProcess]:
    """A gateway that may reach this machine, on an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1", **env}
        async with gateway_process(Path(folder) / "data", settings) as running:
            yield running


async def storage(running: GatewayProcess, endpoint: str, *, blobs: bool) -> str:
    """A project with one storage over the canned bucket."""
    made = await running.data('mutation { createProject(input: {name: "bench"}) { project { id } } }')
    project = made["createProject"]["project"]["id"]
    answer = await running.data(CREATE, {"project": project, "endpoint": endpoint, "blobs": blobs})
    assert not answer["createStorage"]["errors"], answer
    return answer["createStorage"]["storage"]["id"]


async def sync(running: GatewayProcess, storage_id: str) -> Cost:
    """One sync, watched to its end by a subscription."""
    process = psutil.Process(running.process.pid)
    used = process.cpu_times()
    began = time.perf_counter()
    job = (await running.data(SYNC, {"id": storage_id}))["syncStorage"]["job"]["id"]
    returned = time.perf_counter()
    first = 0.0
    seen: list[float] = []
    last: dict[str, Any] = {}
    async with aclosing(running.subscribe(WATCH, {"id": job})) as events:
        async for payload in events:
            last = payload["data"]["job"]
            if last["status"] != "QUEUED":
                first = first or time.perf_counter() - returned
            if last["sync"] and last["sync"]["phase"] in ("LISTING", "IMPORTING"):
                seen.append(time.perf_counter())
    wall = time.perf_counter() - began
    now = process.cpu_times()
    assert last["status"] == "COMPLETED", last
    rate = (len(seen) - 1) / (seen[-1] - seen[0]) if len(seen) > 2 else 0.0
    cpu = now.user + now.system - used.user - used.system
    return Cost(last["sync"]["objectsFound"], cpu, wall, process.memory_info().rss / 1e6, first * 1e3, rate)


def show(name: str, cost: Cost) -> None:
    """One line of the table."""
    print(
        f"{name:34} {cost.cpu / cost.objects * 1e6:8.1f} µs CPU an object   "
        f"{cost.objects / cost.wall:8,.0f} objects/s   "
        f"{cost.rss_mb:6.0f} MB   first progress {cost.first_ms:5.0f} ms   {cost.updates_per_second:4.1f} updates/s"
    )


async def blobs(keys: int) -> None:
    """First sync and unchanged re-sync of `keys` objects."""
    with responder(keys) as endpoint:
        async with gateway() as running:
            source = await storage(running, endpoint, blobs=True)
            first = await sync(running, source)
            show(f"BLOB, first sync of {keys:,}", first)
            show(f"BLOB, unchanged re-sync of {keys:,}", await sync(running, source))
        if keys <= 200_000:
            began = time.process_time()
            await aioboto3_paginator(endpoint)
            baseline = time.process_time() - began
            print(
                f"{'baseline: aioboto3 paginator alone':34} {baseline / keys * 1e6:8.1f} µs CPU a key: "
                f"{baseline / first.cpu:.1f} times the first sync"
            )


async def reads(keys: int) -> None:
    """READ mode over one-record JSON files."""
    with responder(keys) as endpoint:
        async with gateway() as running:
            source = await storage(running, endpoint, blobs=False)
            show(f"READ, first sync of {keys:,} files", await sync(running, source))
            show(f"READ, unchanged re-sync of {keys:,}", await sync(running, source))


async def statements(keys: int) -> None:
    """SQL statements an object, counted at the database drivers."""
    count = 0

    def one(*_: object) -> None:
        nonlocal count
        count += 1

    with tempfile.TemporaryDirectory() as folder:
        server = S3Responder(Canned(keys))
        async with harness(f"sqlite:///{folder}/bench.db", s3=server) as ready:
            for engine in {ready.database.reader.sync_engine, ready.database.writer.sync_engine}:
                event.listen(engine, "before_cursor_execute", one)
            for name in ("first sync", "unchanged re-sync"):
                count = 0
                await ready.sync()
                print(f"SQL, {name:29} {count / keys:8.4f} statements an object ({count} for {keys:,})")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=10_000)
    parser.add_argument("--million", action="store_true", help="also 1,000,000 objects: does memory stay flat?")
    options = parser.parse_args()
    await blobs(options.keys)
    await reads(options.read)
    await statements(options.keys)
    if options.million:
        await blobs(1_000_000)


if __name__ == "__main__":
    asyncio.run(main())
