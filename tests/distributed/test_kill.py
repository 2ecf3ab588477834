"""Whatever dies of an installation of many processes, nothing is lost, stuck or done twice.

`SLUICEGATE_KILL_SEEDS` is the number of faults of the campaign (default 28), four to an installation.
"""

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from models.database import ALL
from tests.distributed.installation import Installation, installation
from tests.support.s3_responder import Request, S3Responder
from tests.sync.test_kill import create_storage, expected

FAULTS = (
    "kill_worker", "freeze_worker", "end_worker", "kill_gateway", "kill_postgres", "kill_valkey", "freeze_valkey",
    "reset_connections",
)  # fmt: skip
SEEDS = int(os.environ.get("SLUICEGATE_KILL_SEEDS", "28"))
OBJECTS = 400
START = "mutation($id: ID!) { syncStorage(input: {id: $id, allowMassMissing: true}) { job { id } errors { code } } }"
NEWEST = "query { jobs(first: 1, orderBy: [{field: CREATED_AT, direction: DESC}]) { nodes { id } } }"
WATCH = """subscription($id: ID!) { job(id: $id) { status revision finishedAt error { message }
  ... on SyncJob { sync { objectsFound objectsUnchanged objectsSynced objectsFailed objectsMissing } } } }"""
CATALOGUE = "SELECT source_key, row, fingerprint, data FROM synced_object WHERE status = 'SYNCED'"
JOBS = "SELECT status, count(*) AS jobs, count(finished_at) AS ended FROM job GROUP BY status"


def change(s3: S3Responder, chance: random.Random, *, blobs: bool) -> None:
    """Adds, overwrites and deletes objects."""
    for _ in range(OBJECTS):
        key = b"data/%03d.json" % chance.randrange(OBJECTS)
        if chance.random() < 0.75:
            s3.store.put(key, json.dumps([chance.randrange(99) for _ in range(1 if blobs else 3)]).encode())
        else:
            s3.store.delete(key)


async def catalogue(made: Installation, *, blobs: bool) -> dict[tuple[bytes, int], Any]:
    """(key, row) → fingerprint or record; no place twice."""
    async with made.database.read(ALL) as session:
        rows = (await session.execute(text(CATALOGUE))).all()
    found = {(key, row): fingerprint if blobs else data for key, row, fingerprint, data in rows}
    assert len(found) == len(rows)
    return found


async def sync_through(made: Installation, storage: str, fault: str, after: int) -> list[dict[str, Any]]:
    """Starts a sync, and at its request number `after` the fault. Returns what each subscriber saw at the end."""
    reached = asyncio.Event()
    served, left = made.s3.answer, after

    def count(request: Request) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            reached.set()
        return served(request)

    made.s3.answer = count
    try:
        job = (await made.client.data(START, {"id": storage}))["syncStorage"]["job"]["id"]
        watching = [asyncio.create_task(made.watch(place, WATCH, job)) for place in (0, 1)]
        arrived = asyncio.create_task(reached.wait())
        await asyncio.wait((arrived, *watching), return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        await getattr(made, fault)()
        await asyncio.wait(watching, timeout=90)
        assert all(task.done() for task in watching), await made.describe()
        return [task.result() for task in watching]
    finally:
        made.s3.answer = served


async def nothing_is_lost(folder: Path, seed: int, faults: tuple[str, ...]) -> None:
    """A first sync and later ones over a bucket that changes, each with a fault in the middle."""
    chance = random.Random(seed)
    blobs = seed % 2 == 0
    async with installation(folder) as made:
        made.s3.page_size = 10
        storage = ""
        before: dict[tuple[bytes, int], Any] = {}
        for number, fault in enumerate(faults, 1):
            change(made.s3, chance, blobs=blobs)
            client: Any = made.client
            storage = storage or await create_storage(client, made.s3, blobs=blobs)
            seen = await sync_through(made, storage, fault, chance.randrange(2, 25 if blobs else 200))
            after = expected(made.s3, blobs=blobs)
            assert seen[0]["status"] == "COMPLETED", (seen[0], await made.describe())
            assert seen[0] == seen[1]
            assert await catalogue(made, blobs=blobs) == after
            sync = seen[0]["sync"]
            assert sync["objectsFound"] == len(after) == sync["objectsUnchanged"] + sync["objectsSynced"]
            assert (sync["objectsFailed"], sync["objectsMissing"]) == (0, len(before.keys() - after.keys()))
            async with made.database.read(ALL) as session:
                assert (await session.execute(text(JOBS))).all() == [("COMPLETED", number, number)]
            before = after


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill_worker", "kill_gateway", "kill_postgres", "kill_valkey", "reset_connections"])
async def test_a_sync_survives(tmp_path: Path, fault: str) -> None:
    await nothing_is_lost(tmp_path, FAULTS.index(fault), (fault,))


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(300, 300 + (SEEDS + 3) // 4))
async def test_syncs_survive_whatever_dies(tmp_path: Path, seed: int) -> None:
    # Three steps on from one to the next: each follows another, and no fault is left out.
    faults = [FAULTS[3 * number % len(FAULTS)] for number in range(4 * (seed - 300), 4 * (seed - 299))]
    await nothing_is_lost(tmp_path, seed, tuple(faults))
