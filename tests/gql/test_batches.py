"""Batches through the front door: of a run, of a configuration, and one by its id."""

import asyncio
from typing import Any

from tests.gql.sync_configs import STATES, TRIGGER, ask, made, settled
from tests.gql.tenants import Tenant

FIELDS = "id number taskId objectCount status attempts lastError deliveredAt job { id }"
OF_CONFIG = f"""query($id: ID!, $first: Int, $after: String) {{ syncConfig(id: $id) {{
  totals {{ batches }} lastJob {{ id sync {{ batchesCreated }} batches {{ totalCount nodes {{ number }} }} }}
  batches(first: $first, after: $after) {{ totalCount pageInfo {{ endCursor hasNextPage }}
    nodes {{ {FIELDS} }} }} }} }}"""


async def configured(tenant: Tenant, files: int, **more: Any) -> str:
    """A configuration that has had one run over so many files."""
    for number in range(files):
        (tenant.folder / f"{number}.txt").write_text("x")
    config = await made(tenant, await tenant.storage(), mode="ONE_TIME", batchSize=2, **more)
    await settled(tenant, config["id"])
    return config["id"]


async def test_a_run_makes_batches_that_are_listed_and_counted(tenant: Tenant) -> None:
    config = await configured(tenant, 5)
    found = (await tenant.data(OF_CONFIG, id=config))["syncConfig"]
    assert found["totals"] == {"batches": 3}
    assert found["lastJob"]["sync"] == {"batchesCreated": 3}
    assert found["lastJob"]["batches"] == {"totalCount": 3, "nodes": [{"number": 1}, {"number": 2}, {"number": 3}]}
    nodes = found["batches"]["nodes"]
    assert [(node["number"], node["objectCount"], node["status"]) for node in nodes] == [
        (3, 1, "SKIPPED"), (2, 2, "SKIPPED"), (1, 2, "SKIPPED"),
    ]  # fmt: skip
    assert {node["job"]["id"] for node in nodes} == {found["lastJob"]["id"]}
    assert [node["taskId"] for node in nodes] == [None] * 3
    query = f"query($id: ID!) {{ node(id: $id) {{ ... on Batch {{ {FIELDS} }} }} }}"
    assert (await tenant.data(query, id=nodes[1]["id"]))["node"] == nodes[1]


async def test_batches_of_several_runs_come_newest_first_in_pages(tenant: Tenant) -> None:
    config = await configured(tenant, 3)
    (tenant.folder / "new.txt").write_text("new")
    assert (await ask(tenant, TRIGGER, id=config))["errors"] == []
    await settled(tenant, config, 2)
    seen: list[tuple[int, int]] = []
    after = None
    while True:
        page = (await tenant.data(OF_CONFIG, id=config, first=1, after=after))["syncConfig"]["batches"]
        assert page["totalCount"] == 3
        seen += [(node["number"], node["objectCount"]) for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [(1, 1), (2, 1), (1, 2)]


async def test_no_batches_when_they_are_skipped(tenant: Tenant) -> None:
    config = await configured(tenant, 3, skipBatchSubmission=True)
    found = (await tenant.data(OF_CONFIG, id=config))["syncConfig"]
    assert (found["totals"]["batches"], found["batches"]["nodes"]) == (0, [])


async def test_what_waits_for_a_confirmation_ends_when_its_configuration_is_archived(tenant: Tenant) -> None:
    hook = {"url": "https://93.184.216.34/hook", "events": ["BATCH_READY"]}
    config = await configured(tenant, 3, requireConfirmation=True, webhook=hook)

    async def batches() -> list[tuple[str, str | None]]:
        nodes = (await tenant.data(OF_CONFIG, id=config))["syncConfig"]["batches"]["nodes"]
        return [(node["status"], node["lastError"]) for node in nodes]

    assert await batches() == [("PENDING", None), ("PENDING", None)]
    assert (await ask(tenant, STATES["archive"], id=config))["errors"] == []
    async with asyncio.timeout(20):
        while ("PENDING", None) in await batches():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert await batches() == [("SKIPPED", "The configuration was archived.")] * 2
