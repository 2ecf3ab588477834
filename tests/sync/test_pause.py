"""A run that is to pause stops at its last checkpoint within a second, whatever it waits for; then it goes on there."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from sluicegate.sync.runner import RunResult
from tests.support.s3_responder import Drop, Reply, Request, Stall
from tests.support.sync_harness import Handle, Harness, check, counts

SECONDS = 1.0
TAGS = {"mappings": [{"target": "t", "targetType": "FIELD", "source": {"type": "TAG", "key": "t"}}]}


def when(ready: Harness, matches: Callable[[Request], bool], reply: Reply | Stall) -> asyncio.Event:
    """From now on requests that match are answered so; set as soon as one comes."""
    served, met = ready.s3.answer, asyncio.Event()

    def answer(request: Request) -> Reply | Drop | Stall:
        if not matches(request):
            return served(request)
        met.set()
        return reply

    ready.s3.answer = answer
    return met


async def paused(ready: Harness, handle: Handle, met: asyncio.Event) -> RunResult:
    """What the run leaves that is told to stop when `met` is set. What was answered is answered as before again."""
    running = asyncio.create_task(ready.run(handle))
    await met.wait()
    handle.stop.set()
    async with asyncio.timeout(SECONDS):
        result = await running
    del ready.s3.answer
    assert result.status is None
    sync: dict[str, Any] = result.columns["sync"]
    # The counters are those of what was written: the rest is done, and counted, when it goes on.
    assert sync["objectsAdded"] == len(await ready.objects())
    return result


async def test_while_a_page_does_not_come(blobs: Harness) -> None:
    blobs.s3.page_size = 10
    for number in range(40):
        blobs.s3.store.put(b"%02d" % number, b"x")
    await blobs.configure()
    handle = await blobs.start()
    pages = 0

    def third(request: Request) -> bool:
        nonlocal pages
        pages += "list-type" in request.query
        return pages == 3

    await paused(blobs, handle, when(blobs, third, Stall()))
    assert counts(check(await blobs.run(await blobs.again(handle)))) == {"added": 40}


async def test_while_the_source_wants_silence(blobs: Harness) -> None:
    for number in range(40):
        blobs.s3.store.put(b"%02d" % number, b"x").tags["t"] = "x"
    await blobs.configure(schema_mapping=TAGS, batch_chunk_size=10)
    handle = await blobs.start()
    slow = Reply(503, b"<Error><Code>SlowDown</Code></Error>", {"Retry-After": "60"})
    met = when(blobs, lambda request: "tagging" in request.target and (request.key or b"") >= b"20", slow)
    result = await paused(blobs, handle, met)
    assert result.columns["sync"]["objectsAdded"] == 20
    assert counts(check(await blobs.run(await blobs.again(handle)))) == {"added": 40}


async def test_while_a_tag_does_not_come(blobs: Harness) -> None:
    for number in range(40):
        blobs.s3.store.put(b"%02d" % number, b"x").tags["t"] = "x"
    await blobs.configure(schema_mapping=TAGS, batch_chunk_size=10)
    handle = await blobs.start()
    await paused(blobs, handle, when(blobs, lambda request: "tagging" in request.target, Stall()))
    assert counts(check(await blobs.run(await blobs.again(handle)))) == {"added": 40}


async def test_while_a_file_does_not_come(reads: Harness) -> None:
    for number in range(10):
        reads.s3.store.put(b"%02d.json" % number, b"[1, 2]")
    await reads.configure(use_blob_urls=False)
    handle = await reads.start()
    await paused(reads, handle, when(reads, lambda request: request.key == b"05.json", Stall()))
    assert counts(check(await reads.run(await reads.again(handle)))) == {"added": 20}


async def test_in_the_middle_of_a_large_file(reads: Harness) -> None:
    records = [{"id": number, "text": "x" * 100} for number in range(20_000)]
    reads.s3.store.put(b"large.json", json.dumps(records).encode())
    await reads.configure(use_blob_urls=False)
    handle = await reads.start()
    begun = asyncio.Event()
    running = asyncio.create_task(reads.run(handle))

    async def watch() -> None:
        while not (handle.states and handle.states[-1]["objectsAdded"]):
            await handle.shown()
        begun.set()

    watching = asyncio.create_task(watch())
    await begun.wait()
    await watching
    handle.stop.set()
    async with asyncio.timeout(SECONDS):
        result = await running
    assert result.status is None
    assert 0 < result.columns["sync"]["objectsAdded"] == len(await reads.objects()) < 20_000
    assert counts(check(await reads.run(await reads.again(handle)))) == {"added": 20_000}
