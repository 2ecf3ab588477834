"""From createSyncConfig to the receiver, through the gateway that serves both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.gql.sync_configs import CREATE, UPDATE
from tests.gql.tenants import CREATE_LOCAL
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.s3_responder import Reply
from tests.support.webhooks import Receiver

PROJECT = 'mutation { createProject(input: {name: "hooked"}) { project { id } } }'
STATE = """query($id: ID!) { node(id: $id) { ... on SyncConfig { health { healthy reason }
  batches { nodes { id number status attempts lastError } } } } }"""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """A gateway that may reach this machine, with five files to sync."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.txt").write_text("x")
    async with running_gateway(
        data_dir=tmp_path / "data", allowed_endpoints="127.0.0.1", local_roots=f"default={source}"
    ) as running:
        yield running


async def configure(gateway: RunningGateway, url: str, **more: Any) -> dict[str, Any]:
    """A configuration that runs once, at once. The payload of its making."""
    project = (await gateway.data(PROJECT))["createProject"]["project"]["id"]
    made = await gateway.data(CREATE_LOCAL, {"project": project, "path": "", "title": "files"})
    given = {
        "projectId": project, "storageId": made["createStorage"]["storage"]["id"], "sourcePath": "",
        "mode": "ONE_TIME", "batchSize": 2, "webhook": {"url": url, **more},
    }  # fmt: skip
    return (await gateway.data(CREATE, {"input": given}))["createSyncConfig"]


async def state(gateway: RunningGateway, config: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The configuration, once this holds of it."""
    async with asyncio.timeout(30):
        while True:
            found = (await gateway.data(STATE, {"id": config}))["node"]
            if holds(found):
                return found
            await asyncio.sleep(0.02)


async def test_a_run_is_told_to_the_webhook_that_was_made_for_it(gateway: RunningGateway) -> None:
    async with Receiver() as receiver:
        made = await configure(gateway, f"{receiver.endpoint}/hook")
        requests = await receiver.wait("/hook", 5)
        found = await state(
            gateway,
            made["syncConfig"]["id"],
            lambda config: [node["status"] for node in config["batches"]["nodes"]] == ["DELIVERED"] * 3,
        )
    assert made["webhookSecret"].startswith("whsec_")
    webhook = Webhook(made["webhookSecret"])
    told = [webhook.verify(request.body, request.headers) for request in requests]
    kinds = [message["type"] for message in told]
    assert sorted(kinds) == ["batch.ready"] * 3 + ["sync.completed", "sync.started"]
    assert kinds.index("sync.started") < kinds.index("sync.completed")
    (end,) = (message["data"] for message in told if message["type"] == "sync.completed")
    assert (end["runNumber"], end["status"], end["counters"]["objectsSynced"]) == (1, "COMPLETED", 5)
    assert end["syncConfigId"] == made["syncConfig"]["id"]
    batches = [message["data"] for message in told if message["type"] == "batch.ready"]
    assert {node["id"] for node in found["batches"]["nodes"]} == {batch["id"] for batch in batches}
    objects = [item for batch in batches for item in batch["objects"]]
    assert sorted(item["path"] for item in objects) == [f"{number}.txt" for number in range(5)]
    node = await gateway.data("query($id: ID!) { node(id: $id) { ... on SyncedObject { path } } }", objects[0])
    assert node["node"]["path"] == objects[0]["path"]
    assert found["health"] == {"healthy": True, "reason": None}


async def test_a_webhook_that_fails_shows_in_health_until_it_is_removed(gateway: RunningGateway) -> None:
    async with Receiver() as receiver:
        receiver.say("/hook", Reply(500))
        made = await configure(gateway, f"{receiver.endpoint}/hook", events=["BATCH_READY"])
        config = made["syncConfig"]["id"]
        await receiver.wait("/hook", 3)
        found = await state(gateway, config, lambda config: not config["health"]["healthy"])
        reason = "The webhook fails: The receiver answered 500 Internal Server Error."
        assert found["health"]["reason"] == reason
        await gateway.data(UPDATE, {"input": {"id": config, "webhook": None}})
        found = (await gateway.data(STATE, {"id": config}))["node"]
    assert found["health"] == {"healthy": True, "reason": None}
