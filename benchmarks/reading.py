"""CPU time of reading one small object: our signed GET against aioboto3's get_object, from one canned server.

Run: python -m benchmarks.reading [--objects 3000]. 16 at a time; the server has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from time import process_time
from typing import Any

import aioboto3

from benchmarks.listing import responder
from sluicegate.core.net import Connector
from sluicegate.providers import s3
from sluicegate.providers.base import ProviderContext

AT_ONCE = 16


def keys(count: int) -> list[bytes]:
    return [b"data/%05d/%08d.json" % (number // 1000, number) for number in range(count)]


async def in_parallel(names: list[bytes], read: Callable[[bytes], Coroutine[Any, Any, int]]) -> int:
    left = iter(names)

    async def reader() -> int:
        return sum([await read(name) for name in left])

    return sum(await asyncio.gather(*(reader() for _ in range(AT_ONCE))))


async def ours(endpoint: str, count: int) -> int:
    async with Connector("127.0.0.1") as connector:
        context = ProviderContext(connector, "benchmark", 1, {}, "")
        values = {"bucket": "bucket", "s3_endpoint": endpoint, "aws_access_key_id": "A", "aws_secret_access_key": "B"}
        async with s3.open_provider(s3.parse(values, context=context), context) as provider:

            async def read(key: bytes) -> int:
                async with provider.read(key) as content:
                    return sum([len(chunk) async for chunk in content.chunks()])

            return await in_parallel(keys(count), read)


async def aioboto3_get(endpoint: str, count: int) -> int:
    session: Any = aioboto3.Session(aws_access_key_id="A", aws_secret_access_key="B", region_name="us-east-1")
    async with session.client("s3", endpoint_url=endpoint) as client:

        async def read(key: bytes) -> int:
            async with (await client.get_object(Bucket="bucket", Key=key.decode()))["Body"] as body:
                return len(await body.read())

        return await in_parallel(keys(count), read)


def measure(name: str, count: int, work: Callable[[str, int], Coroutine[Any, Any, int]], endpoint: str) -> float:
    asyncio.run(work(endpoint, 100))
    cpu = process_time()
    size = asyncio.run(work(endpoint, count))
    cpu = process_time() - cpu
    print(f"{name:20} {cpu / count * 1e6:8.0f} µs CPU an object   {size / count:.0f} bytes each")
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=3000)
    count: int = parser.parse_args().objects
    with responder(count) as endpoint:
        mine = measure("sluicegate", count, ours, endpoint)
        baseline = measure("aioboto3 get_object", count, aioboto3_get, endpoint)
    print(f"ratio: {baseline / mine:.1f} times less CPU than aioboto3")


if __name__ == "__main__":
    main()
