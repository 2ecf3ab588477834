"""The live fields: the state first, then each change, until the end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sluicegate.core.ids import encode_id
from tests.gql.sync_configs import WATCH as WATCH_CONFIG
from tests.gql.tenants import WATCH, Tenant

STORAGE = (
    "subscription($id: ID!) { storage(id: $id) { title status revision deletedAt lastSyncCount project { name } } }"
)
RENAME = "mutation($id: ID!, $title: String) { updateStorage(input: {id: $id, title: $title}) { errors { message } } }"


async def following(states: AsyncGenerator[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        payload = await anext(states)
    assert "errors" not in payload, payload
    return next(iter(payload["data"].values()))


async def test_a_finished_job_is_one_state_and_the_end(tenant: Tenant) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    job = await tenant.sync(await tenant.storage())
    states = await tenant.finished(job)
    assert [state["status"] for state in states] == ["COMPLETED"]
    assert states[0]["sync"] == {"phase": "DONE", "objectsSynced": 1}


async def test_a_job_is_seen_from_its_state_to_its_end(tenant: Tenant) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    storage = await tenant.storage()
    later = (
        """mutation($id: ID!) { syncStorage(input: {id: $id, scheduledAt: "2099-01-01T00:00:00Z"}) { job { id } } }"""
    )
    job = (await tenant.data(later, id=storage))["syncStorage"]["job"]["id"]
    watched = tenant.subscribe(WATCH, id=job)
    first = await following(watched)
    assert first["status"] == "SCHEDULED"
    await tenant.data("mutation($id: ID!) { syncStorage(input: {id: $id}) { job { id } } }", id=storage)
    async with asyncio.timeout(20):
        states = [first, *[payload["data"]["job"] async for payload in watched]]
    assert (states[-1]["status"], states[-1]["sync"]["phase"]) == ("COMPLETED", "DONE")
    revisions = [state["revision"] for state in states]
    assert revisions == sorted(set(revisions))


async def test_a_storage_shows_its_changes_its_syncs_and_its_end(tenant: Tenant) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    storage = await tenant.storage(title="before")
    watched = tenant.subscribe(STORAGE, id=storage)
    first = await following(watched)
    assert (first["title"], first["status"], first["project"]) == ("before", "INITIALIZED", {"name": "project"})

    await tenant.data(RENAME, id=storage, title="after")
    renamed = await following(watched)
    assert (renamed["title"], renamed["revision"] > first["revision"]) == ("after", True)

    await tenant.sync(storage)
    states = [await following(watched)]
    while states[-1]["status"] != "COMPLETED":
        states.append(await following(watched))
    assert {state["status"] for state in states} <= {"QUEUED", "IN_PROGRESS", "COMPLETED"}
    assert states[-1]["lastSyncCount"] == 1

    await tenant.data("mutation($id: ID!) { deleteStorage(input: {id: $id}) { deletedId } }", id=storage)
    assert (await following(watched))["deletedAt"] is not None
    with pytest.raises(StopAsyncIteration):
        await following(watched)


async def test_loaders_see_what_changed_between_events(tenant: Tenant) -> None:
    """A subscription that kept its loaders would answer from memory."""
    project = await tenant.project("before")
    storage = await tenant.storage(project)
    watched = tenant.subscribe(STORAGE, id=storage)
    assert (await following(watched))["project"]["name"] == "before"
    await tenant.data(
        'mutation($id: ID!) { updateProject(input: {id: $id, name: "after"}) { project { id } } }', id=project
    )
    await tenant.data(RENAME, id=storage, title="x")
    assert (await following(watched))["project"]["name"] == "after"
    await watched.aclose()


@pytest.mark.parametrize("kind", ["Job", "Storage", "SyncConfig"])
async def test_an_id_of_nothing_is_an_error_and_the_end(tenant: Tenant, kind: str) -> None:
    query = {"Job": WATCH, "Storage": STORAGE, "SyncConfig": WATCH_CONFIG}[kind]
    for global_id in (encode_id(kind, 2**40), "nonsense", encode_id("Project", 1)):
        with pytest.raises(AssertionError, match="NOT_FOUND") as refused:
            await following(tenant.subscribe(query, id=global_id))
        assert "INTERNAL" not in str(refused.value)
