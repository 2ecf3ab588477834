"""What writing the catalogue costs on PostgreSQL: our upserts, as a sync makes them, beside a bare COPY of the rows.

Run: python -m benchmarks.catalogue [--objects 100000] [--rounds 3]. The server is a real one in processes of its own
(tests/support/postgres.py: without fsync, so that the machine's disk does not count). Baseline in the same run: the
driver's COPY of the same rows, made before, into the same table with its indexes, in one piece. Of each the best round
counts; wall-clock time is that of both sides, the server's CPU apart from ours.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import Any, NamedTuple

import asyncpg
import psutil

from models import catalogue
from models.catalogue import COLUMNS, ObjectRow
from models.database import ALL, Database
from tests.support.jobs import Tenant, make_schema, make_tenant
from tests.support.postgres import PostgresServer

PIECE = 1_000
"""Objects of one commit: the default `checkpointFrequency`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = [COLUMNS.index(name) for name in ("source_modified_at", "first_synced_at", "synced_at")]


class Cost(NamedTuple):
    """Microseconds an object."""

    wall: float
    ours: float
    server: float


def rows_of(tenant: Tenant, objects: int, version: int) -> list[ObjectRow]:
    """Rows as a listing of JSON files makes them, in the order of their keys."""
    moment = 1_790_000_000_000_000
    keys = [f"data/{number // 1_000:04d}/{number:08d}.json" for number in range(objects)]
    return [
        (
            tenant.namespace_id, tenant.project_id, tenant.storage_id, key.encode(), 0, "SYNCED", key, 1_000 + number,
            "application/json", "TEXT", f"{number:032x}-{version}", moment, None, moment, moment,
        )
        for number, key in enumerate(keys)
    ]  # fmt: skip


async def upserts(database: Database, rows: Sequence[ObjectRow]) -> None:
    """A transaction for each piece."""
    for start in range(0, len(rows), PIECE):
        async with database.write(ALL) as session:
            await catalogue.upsert(session, rows[start : start + PIECE])


def _value(at: int, value: Any) -> Any:
    return _EPOCH + timedelta(microseconds=value) if at in _TIMES else value


async def measure(server: psutil.Process, objects: int, work: Callable[[], Awaitable[None]]) -> Cost:
    """What `work` costs both sides."""
    used, began, cpu = _cpu(server), perf_counter(), process_time()
    await work()
    wall, cpu = perf_counter() - began, process_time() - cpu
    return Cost(*(seconds / objects * 1e6 for seconds in (wall, cpu, _cpu(server) - used)))


def _cpu(server: psutil.Process) -> float:
    """CPU seconds of the server's processes that are alive: measure within the life of a connection."""
    total = 0.0
    for process in (server, *server.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


async def one_round(postgres: PostgresServer, objects: int) -> dict[str, Cost]:
    """First writes, the same objects changed, and the baseline, each on a table of the same size."""
    found: dict[str, Cost] = {}
    url = await postgres.create_database()
    database = Database(url)
    await make_schema(database)
    tenant = await make_tenant(database)
    server = psutil.Process(postgres.pid)
    for name, version in (("upsert, new", 1), ("upsert, changed", 2)):
        rows = rows_of(tenant, objects, version)
        found[name] = await measure(server, objects, lambda rows=rows: upserts(database, rows))
    await database.close()
    await postgres.drop_database(url)
    url = await postgres.create_database()
    database = Database(url)
    await make_schema(database)
    rows = rows_of(await make_tenant(database), objects, 1)
    records = [tuple(_value(at, value) for at, value in enumerate(row)) for row in rows]
    driver: Any = asyncpg
    connection = await driver.connect(url)

    async def copy() -> None:
        await connection.copy_records_to_table("synced_object", records=records, columns=COLUMNS)

    found["COPY"] = await measure(server, objects, copy)
    await connection.close()
    await database.close()
    await postgres.drop_database(url)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with PostgresServer() as postgres:
        rounds = [await one_round(postgres, options.objects) for _ in range(options.rounds)]
    best = {name: min((each[name] for each in rounds), key=lambda cost: cost.wall) for name in rounds[0]}
    base = best["COPY"]
    print(f"{options.objects:,} objects on PostgreSQL, {PIECE:,} a commit, best of {options.rounds} rounds")
    for name, cost in best.items():
        print(
            f"{name:16} {1e6 / cost.wall:8,.0f} objects/s ({cost.wall / base.wall:.2f} times COPY's time)"
            f"   CPU an object: {cost.ours:5.1f} µs ours, {cost.server:5.1f} µs the server's"
        )


if __name__ == "__main__":
    asyncio.run(main())
