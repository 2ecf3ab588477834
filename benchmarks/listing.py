"""CPU time a key of listing a bucket: our lister against aioboto3's plain paginator, from one canned server.

The walk is the same listing from a server that sorts by folder, 1,000 keys in each.

Run: python -m benchmarks.listing [--keys 100000]. The server has a process of its own; only this one's CPU counts.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager
from time import perf_counter, process_time
from typing import Any

import aioboto3

from sluicegate.core.net import Connector
from sluicegate.providers import s3
from sluicegate.providers.base import ProviderContext


@contextmanager
def responder(keys: int, order: str = "bytes") -> Generator[str, None, None]:
    """The endpoint of a canned server in another process."""
    command = [sys.executable, "-m", "tests.support.s3_responder", "--keys", str(keys), "--order", order]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


async def ours(endpoint: str) -> int:
    async with Connector("127.0.0.1") as connector:
        context = ProviderContext(connector, "benchmark", 1, {}, "")
        values = {"bucket": "bucket", "s3_endpoint": endpoint, "aws_access_key_id": "A", "aws_secret_access_key": "B"}
        async with s3.open_provider(s3.parse(values, context=context), context) as provider:
            found = 0
            async with aclosing(provider.list()) as pages:
                async for page in pages:
                    found += len(page.entries)
            return found


async def aioboto3_paginator(endpoint: str) -> int:
    session: Any = aioboto3.Session(aws_access_key_id="A", aws_secret_access_key="B", region_name="us-east-1")
    async with session.client("s3", endpoint_url=endpoint) as client:
        found = 0
        async for page in client.get_paginator("list_objects_v2").paginate(Bucket="bucket"):
            found += len([(item["Key"], item["Size"], item["LastModified"], item["ETag"]) for item in page["Contents"]])
        return found


def measure(name: str, keys: int, work: Callable[[str], Coroutine[Any, Any, int]], endpoint: str) -> float:
    asyncio.run(work(endpoint))  # warm: imports, compiled paths
    cpu, wall = process_time(), perf_counter()
    found = asyncio.run(work(endpoint))
    cpu, wall = process_time() - cpu, perf_counter() - wall
    assert found == keys, (name, found)
    print(
        f"{name:20} {cpu / keys * 1e6:8.2f} µs CPU a key   {wall:6.2f} s wall   {keys / cpu:10,.0f} keys a CPU second"
    )
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    keys: int = parser.parse_args().keys
    with responder(keys) as endpoint:
        mine = measure("sluicegate", keys, ours, endpoint)
        baseline = measure("aioboto3 paginator", keys, aioboto3_paginator, endpoint)
    with responder(keys, "folders") as endpoint:
        walked = measure("sluicegate, walk", keys, ours, endpoint)
    print(f"the walk costs {walked / mine:.1f} times the flat listing")
    print(f"ratio: {baseline / mine:.1f} times less CPU than the paginator")


if __name__ == "__main__":
    main()
