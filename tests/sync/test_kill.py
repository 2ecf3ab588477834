"""The gateway or the S3 server dies in the middle of a sync: the catalogue ends equal to the bucket."""

import json
import random
import sqlite3
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
import websockets

from sluicegate.core.crypto import new_api_secret
from tests.support.gateway import GatewayProcess, gateway_process
from tests.support.s3_responder import Drop, Reply, Request, S3Responder, Stall

ENV = {"SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1"}
WATCH = """subscription($id: ID!) { job(id: $id) { status revision error { message }
  ... on SyncJob { sync { objectsFound objectsUnchanged objectsSynced objectsFailed objectsMissing } } } }"""


async def create_storage(gateway: GatewayProcess, s3: S3Responder, *, blobs: bool) -> str:
    """A project and a storage over the server's bucket."""
    made = await gateway.data('mutation { createProject(input: {name: "kill"}) { project { id } } }')
    answer = await gateway.data(
        """mutation($project: ID!, $endpoint: String!, $blobs: Boolean!) { createStorage(input: {projectId: $project,
        useBlobUrls: $blobs, provider: {s3: {bucket: "bucket", s3Endpoint: $endpoint, regionName: "us-east-1",
        awsAccessKeyId: "A", awsSecretAccessKey: "B"}}}) { storage { id } errors { message } } }""",
        {"project": made["createProject"]["project"]["id"], "endpoint": s3.endpoint, "blobs": blobs},
    )
    assert not answer["createStorage"]["errors"]
    return answer["createStorage"]["storage"]["id"]


async def start_sync(gateway: GatewayProcess, storage: str) -> str:
    """The id of the job."""
    answer = await gateway.data(
        "mutation($id: ID!) { syncStorage(input: {id: $id, allowMassMissing: true}) { job { id } } }",
        {"id": storage},
    )
    return answer["syncStorage"]["job"]["id"]


async def last_state(gateway: GatewayProcess, job: str, watch: str = WATCH) -> dict[str, Any]:
    """The job as its subscription shows it last."""
    state: dict[str, Any] = {}
    async with aclosing(gateway.subscribe(watch, {"id": job})) as events:
        async for payload in events:
            assert not state or payload["data"]["job"]["revision"] > state["revision"]
            state = payload["data"]["job"]
    return state


def catalogue(data_dir: Path) -> dict[tuple[bytes, int], tuple[str, Any]]:
    """(key, row) → (fingerprint, record) of what is SYNCED, read from the file itself."""
    with sqlite3.connect(data_dir / "sluicegate.db") as database:
        found = database.execute(
            "SELECT source_key, row, fingerprint, data FROM synced_object WHERE status = 'SYNCED'"
        ).fetchall()
    return {(key, row): (fingerprint, data and json.loads(data)) for key, row, fingerprint, data in found}


def change(s3: S3Responder, chance: random.Random, *, blobs: bool) -> None:
    """Adds, overwrites and deletes some of 600 objects."""
    for _ in range(600):
        key = b"data/%03d.json" % chance.randrange(600)
        if chance.random() < 0.75:
            s3.store.put(key, json.dumps([chance.randrange(99) for _ in range(1 if blobs else 3)]).encode())
        else:
            s3.store.delete(key)


def expected(s3: S3Responder, *, blobs: bool) -> dict[tuple[bytes, int], Any]:
    """What the catalogue should hold: fingerprints of the files, or their records."""
    found: dict[tuple[bytes, int], Any] = {}
    for key in s3.store.keys:
        stored = s3.store.get(key)
        assert stored is not None
        if blobs:
            found[key, 0] = f"{stored.etag}-{len(stored.body)}"
        else:
            found |= {(key, row): record for row, record in enumerate(json.loads(stored.body))}
    return found


async def kill_and_go_on(tmp_path: Path, seed: int, *, blobs: bool, faults: int) -> None:
    """Two syncs; in each, SIGKILL at random requests of the run, and a start on the same directory after each."""
    chance = random.Random(seed)
    key = new_api_secret()
    data_dir = tmp_path / "data"
    storage = ""
    async with S3Responder() as s3:
        s3.page_size = 40
        served = s3.answer
        for round_number in range(2):
            change(s3, chance, blobs=blobs)
            before = catalogue(data_dir) if round_number else {}
            job = ""
            for fault in range(faults + 1):
                async with gateway_process(data_dir, ENV, key=key) as gateway:
                    storage = storage or await create_storage(gateway, s3, blobs=blobs)
                    left = chance.randrange(1, 14 if blobs else 300)

                    def kill_later(request: Request, gateway: GatewayProcess = gateway) -> Reply | Drop | Stall:
                        nonlocal left
                        left -= 1
                        if left == 0:
                            gateway.process.kill()
                        return served(request)

                    if fault < faults:
                        s3.answer = kill_later
                    job = job or await start_sync(gateway, storage)
                    if fault < faults:
                        # It may also be through before the request comes that kills it.
                        with suppress(OSError, websockets.WebSocketException):
                            await last_state(gateway, job)
                        s3.answer = served
                        continue
                    state = await last_state(gateway, job)
                    after = expected(s3, blobs=blobs)
                    assert state["status"] == "COMPLETED", state
                    values = {place: row[0] if blobs else row[1] for place, row in catalogue(data_dir).items()}
                    assert values == after
                    sync = state["sync"]
                    assert sync["objectsMissing"] == len(before.keys() - after.keys())
                    assert sync["objectsFound"] == len(after)
                    assert sync["objectsFound"] == sync["objectsUnchanged"] + sync["objectsSynced"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_a_killed_gateway_goes_on_where_it_was(tmp_path: Path, seed: int) -> None:
    await kill_and_go_on(tmp_path, seed, blobs=seed % 2 == 0, faults=1)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 112))
async def test_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    await kill_and_go_on(tmp_path, seed, blobs=seed % 2 == 0, faults=3)


@pytest.mark.slow
@pytest.mark.parametrize("blobs", [True, False])
async def test_an_s3_server_that_dies_half_way_and_comes_back(tmp_path: Path, blobs: bool) -> None:
    chance = random.Random(7)
    async with S3Responder() as s3, gateway_process(tmp_path / "data", ENV) as gateway:
        s3.page_size = 40
        change(s3, chance, blobs=blobs)
        storage = await create_storage(gateway, s3, blobs=blobs)
        served = s3.answer
        requests = 0

        def die(request: Request) -> Reply | Drop | Stall:
            nonlocal requests
            requests += 1
            return Drop() if 5 <= requests < 25 else served(request)

        s3.answer = die
        state = await last_state(gateway, await start_sync(gateway, storage))
        assert state["status"] == "COMPLETED", state
        after = expected(s3, blobs=blobs)
        values = {place: row[0] if blobs else row[1] for place, row in catalogue(tmp_path / "data").items()}
        assert values == after
        assert state["sync"]["objectsFound"] == len(after)
