"""SIGTERM in the middle of a sync: the run hands over at a checkpoint and goes on after the next start."""

import asyncio
import time
from pathlib import Path

import pytest

from sluicegate.core.crypto import new_api_secret
from tests.app.storages import create_storage
from tests.support.gateway import first, gateway_process
from tests.support.moto_server import MotoServer

OBJECTS = 12
JOB = "status retryCount sync { objectsSynced objectsFound objectsFailed }"
SYNC = f"mutation ($id: ID!) {{ syncStorage(input: {{ id: $id }}) {{ job {{ id ... on SyncJob {{ {JOB} }} }} }} }}"
WATCH = f"subscription ($id: ID!) {{ job(id: $id) {{ ... on SyncJob {{ {JOB} }} }} }}"

pytestmark = pytest.mark.slow


async def test_a_run_is_handed_over_and_goes_on(moto: MotoServer, bucket: str, tmp_path: Path) -> None:
    moto.put(bucket, {f"{number:02}.json": b'{"number": %d}' % number for number in range(OBJECTS)})
    key = new_api_secret()
    env = {"SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1"}
    async with gateway_process(tmp_path, env, key=key) as gateway:
        # Two requests a second: the run takes at least as many seconds as it has pairs of objects.
        storage = await create_storage(gateway, moto, bucket, maxRequestsPerSecond=2.0)
        job = (await gateway.data(SYNC, {"id": storage}))["syncStorage"]["job"]["id"]
        events = gateway.subscribe(WATCH, {"id": job})
        while (state := (await first(events))["data"]["job"])["sync"]["objectsSynced"] < 2:
            assert state["status"] in ("QUEUED", "IN_PROGRESS")
        began = time.monotonic()
        assert await asyncio.to_thread(gateway.process.stop) == 0
        assert time.monotonic() - began < 10
        await events.aclose()
    async with gateway_process(tmp_path, env, key=key) as gateway:
        async for event in gateway.subscribe(WATCH, {"id": job}):
            state = event["data"]["job"]
    assert state == {
        "status": "COMPLETED",
        "retryCount": 0,
        "sync": {"objectsSynced": OBJECTS, "objectsFound": OBJECTS, "objectsFailed": 0},
    }
