"""What a row of one large table costs in READ mode, and whether the gateway's memory stays flat.

Run: python -m benchmarks.tables [--rows 1000000] [--parquet 1000000]. The table is made while it is sent, by a server
in a process of its own, so there is no large file anywhere; the gateway is `sluicegate serve` on SQLite. CPU and memory
are the kernel's account of the gateway and, for Parquet, of the process that it starts to read such files.
Baselines: Python's csv module over the same bytes; pyarrow's read_table of the same file.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
from aiohttp import web

from benchmarks.sync import SYNC, WATCH, gateway, storage
from tests.support.gateway import GatewayProcess

# The library has no type hints.
arrow: Any = pa
parquet: Any = arrow_parquet
HEADER = b"id,name,label,value,comment\n"
ROW = b'%010d,name %010d,%d,%012.4f,"a comment, quoted, of row %010d"\n'
ROW_BYTES = len(ROW % (0, 0, 0, 0.0, 0))
PART = 5_000
LISTING = """<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>
<Contents><Key>{name}</Key><Size>{size}</Size><ETag>&quot;{size:032x}&quot;</ETag>
<LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents></ListBucketResult>"""


def csv_parts(rows: int) -> Iterator[bytes]:
    yield HEADER
    for start in range(0, rows, PART):
        numbers = range(start, min(rows, start + PART))
        yield b"".join([ROW % (number, number, number % 7, number / 7 % 1e6, number) for number in numbers])


def parquet_file(rows: int) -> bytes:
    columns: Any = {
        "id": list(range(rows)),
        "name": [f"name {number:010}" for number in range(rows)],
        "label": [f"label {number % 7}" for number in range(rows)],
        "value": [number / 7 for number in range(rows)],
        "at": arrow.array(range(rows), arrow.timestamp("us", tz="UTC")),
    }
    out = io.BytesIO()
    parquet.write_table(arrow.table(columns), out, row_group_size=200_000)
    return out.getvalue()


def serve(name: str, rows: int) -> None:
    """The server: one object, a table of so many rows. Prints its port."""
    body = parquet_file(rows) if name.endswith(".parquet") else None
    size = len(HEADER) + rows * ROW_BYTES if body is None else len(body)
    tag = f'"{size:032x}"'

    async def listing(_: web.Request) -> web.Response:
        return web.Response(text=LISTING.format(name=name, size=size), content_type="application/xml")

    async def content(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            # Of the CSV table only the test of the connection asks for a part, of its first byte.
            part = request.http_range
            start, end = part.start or 0, part.stop or size
            place = f"bytes {start}-{end - 1}/{size}"
            return web.Response(
                status=206, body=(body or HEADER)[start:end], headers={"ETag": tag, "Content-Range": place}
            )
        answer = web.StreamResponse(headers={"ETag": tag, "Content-Length": str(size)})
        await answer.prepare(request)
        for piece in csv_parts(rows):
            await answer.write(piece)
        return answer

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/bucket", listing)
        app.router.add_get("/bucket/", listing)
        app.router.add_get("/bucket/{key}", content)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def server(name: str, rows: int) -> Generator[str, None, None]:
    """The server's endpoint."""
    command = [sys.executable, "-m", "benchmarks.tables", "--serve", name, "--rows", str(rows)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


@dataclass
class Watch:
    """What the kernel says of the gateway while a sync runs. `resident`: rows found → MB; `reader`: peak MB."""

    cpu: float = 0.0
    reader_cpu: float = 0.0
    reader: float = 0.0
    resident: dict[int, float] = field(default_factory=dict[int, float])

    def at(self, rows: int) -> float:
        """The highest in the tenth of the run around `rows`."""
        last = max(self.resident)
        return max(mb for found, mb in self.resident.items() if abs(found - rows) <= last / 10)


async def sync(running: GatewayProcess, storage_id: str) -> tuple[Watch, dict[str, Any], float]:
    """One sync, watched to its end."""
    process, watch = psutil.Process(running.process.pid), Watch()
    before = process.cpu_times()
    began = time.perf_counter()
    job = (await running.data(SYNC, {"id": storage_id}))["syncStorage"]["job"]["id"]
    last: dict[str, Any] = {}
    async with aclosing(running.subscribe(WATCH, {"id": job})) as events:
        async for payload in events:
            last = payload["data"]["job"]
            found = last["sync"]["objectsFound"] if last["sync"] else 0
            watch.resident[found] = max(watch.resident.get(found, 0.0), process.memory_info().rss / 1e6)
            for child in process.children():
                try:
                    watch.reader = max(watch.reader, child.memory_info().rss / 1e6)
                    times = child.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                watch.reader_cpu = max(watch.reader_cpu, times.user + times.system)
    after = process.cpu_times()
    watch.cpu = after.user + after.system - before.user - before.system
    assert last["status"] == "COMPLETED", last
    return watch, last["sync"], time.perf_counter() - began


async def measure(name: str, rows: int) -> float:
    """First sync and unchanged full read; returns CPU seconds of the first."""
    with server(name, rows) as endpoint:
        async with gateway() as running:
            watch, counters, wall = await sync(running, await storage(running, endpoint, blobs=False))
    assert counters["objectsSynced"] == rows, counters
    marks = ", ".join(f"{watch.at(rows * part // 10):.0f} MB at {rows * part // 10:,}" for part in (1, 3, 10))
    line = (
        f"{name}, {rows:,} rows: {watch.cpu / rows * 1e6:.1f} µs CPU a row, {rows / wall:,.0f} rows/s; resident {marks}"
    )
    if watch.reader:
        line += f"; reader {watch.reader_cpu / rows * 1e6:4.1f} µs CPU a row, at most {watch.reader:4.0f} MB"
    print(line, flush=True)
    return watch.cpu + watch.reader_cpu


def baseline(rows: int, results: Any, kind: str) -> None:
    """In a process of its own, for its memory: what reading alone costs. Puts (CPU seconds, peak MB)."""
    import resource

    if kind == "csv":
        before, count = time.process_time(), 0
        making = sum(map(len, csv_parts(rows)))
        made = time.process_time() - before
        lines = (line for part in csv_parts(rows) for line in part.decode().splitlines(keepends=True))
        began = time.process_time()
        for _ in csv.DictReader(lines):
            count += 1
        assert (count, making) == (rows, len(HEADER) + rows * ROW_BYTES)
        cpu = time.process_time() - began - made
    else:
        body = parquet_file(rows)
        began = time.process_time()
        table: Any = parquet.read_table(io.BytesIO(body))
        assert table.num_rows == rows
        cpu = time.process_time() - began
    results.put((cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))
    # pyarrow's threads do not like the end of a process that multiprocessing made.
    os._exit(0)


def alone(name: str, rows: int, kind: str, mine: float) -> None:
    context = multiprocessing.get_context("spawn")
    results: Any = context.SimpleQueue()
    process = context.Process(target=baseline, args=(rows, results, kind))
    process.start()
    cpu, peak = results.get()
    process.join()
    print(
        f"baseline: {name} {cpu / rows * 1e6:6.2f} µs CPU a row, peak {peak:4.0f} MB; the sync {mine / cpu:.1f} times"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the CSV table; 0: none")
    parser.add_argument("--parquet", type=int, default=1_000_000, help="rows of the Parquet file; 0: none")
    options = parser.parse_args()
    if options.rows:
        mine = await measure("table.csv", options.rows)
        alone("csv.DictReader", options.rows, "csv", mine)
    if options.parquet:
        mine = await measure("table.parquet", options.parquet)
        alone("pyarrow read_table", options.parquet, "parquet", mine)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(sys.argv[2], int(sys.argv[4]))
    else:
        asyncio.run(main())
