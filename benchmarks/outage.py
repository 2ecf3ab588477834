"""How long subscribers see nothing when the event channel fails, in an installation of two gateways and three workers.

Run: python -m benchmarks.outage. A sync is slowed down to some 40 s by its storage's ceiling and shows a state five
times a second; of each outage the longest time between two states is printed, during it and after the channel is back.
Baseline in the same run: the same sync with nothing wrong. Wall-clock time: it is what people wait.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from tests.distributed.installation import Installation, installation

OBJECTS, PAGE, PER_SECOND = 4_000, 10, 10.0
BEFORE_SECONDS, AFTER_SECONDS = 3.0, 8.0
CREATE = """mutation($project: ID!, $endpoint: String!, $pace: Float!) { createStorage(input: {projectId: $project,
  useBlobUrls: true, maxRequestsPerSecond: $pace, provider: {s3: {bucket: "bucket", s3Endpoint: $endpoint,
  regionName: "us-east-1", awsAccessKeyId: "A", awsSecretAccessKey: "B"}}}) { storage { id } errors { message } } }"""
START = "mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } } }"
CANCEL = "mutation($id: ID!) { signalJob(input: {id: $id, signal: CANCEL}) { job { status } } }"
WATCH = "subscription($id: ID!) { job(id: $id) { status revision } }"


async def nothing(_made: Installation) -> None:
    """The baseline."""


async def silence(made: Installation, outage: Callable[[Installation], Awaitable[None]]) -> tuple[float, float, float]:
    """Seconds: the longest between two states from the outage's begin to its end, and after it; to cancel the run."""
    project = await made.client.data('mutation { createProject(input: {name: "bench"}) { project { id } } }')
    values = {"project": project["createProject"]["project"]["id"], "endpoint": made.s3.endpoint, "pace": PER_SECOND}
    storage = (await made.client.data(CREATE, values))["createStorage"]["storage"]["id"]
    job = (await made.client.data(START, {"id": storage}))["syncStorage"]["job"]["id"]
    seen: list[float] = []

    async def watch() -> None:
        async with aclosing(made.client.subscribe(WATCH, {"id": job})) as events:
            async for _ in events:
                seen.append(perf_counter())  # noqa: PERF401 - each when it comes

    watching = asyncio.create_task(watch())
    await asyncio.sleep(BEFORE_SECONDS)
    began = perf_counter()
    await outage(made)
    ended = perf_counter()
    await asyncio.sleep(AFTER_SECONDS)
    gaps = [(later, later - earlier) for earlier, later in pairwise([*seen, perf_counter()])]
    asked = perf_counter()
    await made.client.data(CANCEL, {"id": job})
    await watching
    during = max((gap for at, gap in gaps if began <= at <= ended), default=0.0)
    return during, max(gap for at, gap in gaps if at > ended), perf_counter() - asked


async def main() -> None:
    outages: dict[str, Callable[[Installation], Awaitable[None]]] = {
        "nothing (baseline)": nothing,
        "Valkey killed, an empty one in its place": Installation.kill_valkey,
        "Valkey silent for 6 s": Installation.freeze_valkey,
        "every connection reset": Installation.reset_connections,
    }
    with tempfile.TemporaryDirectory() as folder:
        async with installation(Path(folder)) as made:
            made.s3.page_size = PAGE
            for number in range(OBJECTS):
                made.s3.store.put(b"%06d.bin" % number, b"x")
            print("longest time without a state, for a subscriber of a running sync")
            for name, outage in outages.items():
                during, after, cancel = await silence(made, outage)
                print(
                    f"{name:44} {during:5.2f} s during   {after:5.2f} s after it was back"
                    f"   then a cancel is seen done in {cancel:4.2f} s"
                )


if __name__ == "__main__":
    asyncio.run(main())
