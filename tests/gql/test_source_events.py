"""What happens in a bucket shows by itself: through the gateway, S3's notifications and their queue."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sluicegate.providers.s3 import events
from tests.gql.sync_configs import CREATE, PAUSE, STATES, ask, change
from tests.gql.sync_configs import until as until_config
from tests.gql.tenants import Tenant
from tests.gql.test_storages import create as create_storage
from tests.gql.test_storages import s3
from tests.providers.test_s3_events import Notifying
from tests.support import moto_server
from tests.support.moto_server import MotoServer

OBJECTS = "query($p: ID!) { project(id: $p) { objects { nodes { path status sizeBytes } } } }"
JOBS = "query($p: ID!) { jobs(filter: {projectId: $p}) { nodes { ... on SyncJob { trigger } } } }"
PATIENCE_SECONDS = 30.0


@pytest.fixture
async def notifying(moto: MotoServer, bucket: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Notifying]:
    monkeypatch.setattr(events, "WAIT_SECONDS", 1)
    async with Notifying(moto.endpoint, bucket, moto_server.ACCESS_KEY, moto_server.SECRET_KEY) as source:
        await source.connect()
        yield source


async def shown(tenant: Tenant, project: str, expected: dict[str, tuple[str, int]]) -> None:
    """Waits until the project has just these: path → status and bytes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            nodes = (await tenant.data(OBJECTS, p=project))["project"]["objects"]["nodes"]
            found = {node["path"]: (node["status"], int(node["sizeBytes"])) for node in nodes}
            if found == expected:
                return
            await asyncio.sleep(0.05)


async def triggers(tenant: Tenant, project: str) -> list[str]:
    return [job["trigger"] for job in (await tenant.data(JOBS, p=project))["jobs"]["nodes"]]


async def start(tenant: Tenant, moto: MotoServer, notifying: Notifying) -> dict[str, Any]:
    """A configuration over the bucket that has listed it once. It polls each quarter of an hour: no test waits that."""
    provider = s3(moto, notifying.bucket, eventQueueUrl=notifying.url)
    storage = (await create_storage(tenant, provider))["storage"]["id"]
    answer = await ask(
        tenant, CREATE, projectId=await tenant.project(), storageId=storage, sourcePath=f"{notifying.bucket}/in/",
        pollingIntervalSeconds=900,
    )  # fmt: skip
    assert answer["errors"] == [], answer["errors"]
    config = answer["syncConfig"]
    await until_config(tenant, config["id"], lambda state: state["lastJob"] is not None)
    return config


async def test_objects_put_overwritten_and_deleted_show_without_a_listing(
    tenant: Tenant, moto: MotoServer, notifying: Notifying
) -> None:
    moto.put(notifying.bucket, {"in/there.txt": b"1"})
    config = await start(tenant, moto, notifying)
    project = config["project"]["id"]
    await shown(tenant, project, {"in/there.txt": ("SYNCED", 1)})
    await notifying.put(b"in/new.txt", b"12")
    await shown(tenant, project, {"in/there.txt": ("SYNCED", 1), "in/new.txt": ("SYNCED", 2)})
    await notifying.put(b"in/there.txt", b"123")
    await notifying.put(b"elsewhere/x.txt", b"1")
    await shown(tenant, project, {"in/there.txt": ("SYNCED", 3), "in/new.txt": ("SYNCED", 2)})
    await notifying.request("DELETE", b"in/new.txt")
    await shown(tenant, project, {"in/there.txt": ("SYNCED", 3), "in/new.txt": ("MISSING", 2)})
    found = await triggers(tenant, project)
    assert found.count("SCHEDULE") == 1
    assert set(found) == {"SCHEDULE", "EVENT"}


async def test_what_happens_during_a_pause_shows_after_it(
    tenant: Tenant, moto: MotoServer, notifying: Notifying
) -> None:
    config = await start(tenant, moto, notifying)
    project = config["project"]["id"]
    await change(tenant, PAUSE, id=config["id"], reason="")
    await notifying.put(b"in/meanwhile.txt", b"12")
    await change(tenant, STATES["resume"], id=config["id"])
    await shown(tenant, project, {"in/meanwhile.txt": ("SYNCED", 2)})


async def test_a_queue_that_is_gone_leaves_polling(tenant: Tenant, moto: MotoServer, notifying: Notifying) -> None:
    config = await start(tenant, moto, notifying)
    await notifying.queue(notifying.url).call("DeleteQueue")
    services = tenant.gateway.services
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not services.jobs.failing_queues:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)
    (reason,) = services.jobs.failing_queues.values()
    assert moto_server.SECRET_KEY not in reason
    await notifying.put(b"in/polled.txt", b"12")
    answer = await tenant.data(
        "mutation($i: TriggerSyncInput!) { triggerSync(input: $i) { job { id } } }", i={"id": config["id"]}
    )
    assert answer["triggerSync"]["job"] is not None
    await shown(tenant, config["project"]["id"], {"in/polled.txt": ("SYNCED", 2)})
