"""Deleting storages with their objects, and projects with all beneath: gone at once, then removed."""

import asyncio
from typing import Any

from models.database import ALL
from models.jobs import Job
from models.objects import SourceFile, SyncedObject
from models.projects import Project
from models.removal import PART
from models.storages import Storage
from sluicegate.core.ids import encode_id
from tests.gql.tenants import Tenant, number

DELETE_STORAGE = """mutation($id: ID!, $objects: Boolean!) {
  deleteStorage(input: {id: $id, deleteObjects: $objects}) { deletedId errors { code message } } }"""
DELETE_PROJECT = "mutation($id: ID!) { deleteProject(input: {id: $id}) { deletedId errors { code path } } }"
REMOVALS = "{ jobs(filter: {jobClass: [%s]}) { nodes { __typename id status error { message } } } }"


async def removed(tenant: Tenant, job_class: str) -> dict[str, Any]:
    """Waits until the one removal is done."""
    data = await tenant.data(REMOVALS % f'"{job_class}"')
    (job,) = data["jobs"]["nodes"]
    async with asyncio.timeout(30):
        async for _ in tenant.subscribe("subscription($id: ID!) { job(id: $id) { status } }", id=job["id"]):
            pass
    (job,) = (await tenant.data(REMOVALS % f'"{job_class}"'))["jobs"]["nodes"]
    return job


async def rows(tenant: Tenant, cls: Any) -> int:
    from sqlalchemy import func, select

    async with tenant.gateway.services.database.read(tenant.number) as session:
        return await session.scalar(select(func.count()).select_from(cls)) or 0


async def test_objects_stay_unless_told(tenant: Tenant) -> None:
    (tenant.folder / "a.txt").write_text("a")
    project = await tenant.project()
    kept, dropped = await tenant.storage(project), await tenant.storage(project)
    await tenant.sync(kept)
    await tenant.add(*tenant.objects(project, dropped, [f"{index}.txt" for index in range(PART + 1)]))

    await tenant.data(DELETE_STORAGE, id=kept, objects=False)
    answer = (await tenant.data(DELETE_STORAGE, id=dropped, objects=True))["deleteStorage"]
    assert answer == {"deletedId": dropped, "errors": []}
    job = await removed(tenant, "REMOVE_OBJECTS")
    assert (job["__typename"], job["status"], job["error"]) == ("MaintenanceJob", "COMPLETED", None)
    found = await tenant.data(
        "query($p: ID!) { project(id: $p) { objects { nodes { path storage { id deletedAt } } } } }", p=project
    )
    (left,) = found["project"]["objects"]["nodes"]
    assert (left["path"], left["storage"]["id"]) == ("a.txt", kept)
    assert left["storage"]["deletedAt"] is not None


async def test_a_deleted_project_is_gone_at_once_and_then_removed(tenant: Tenant) -> None:
    (tenant.folder / "a.jsonl").write_text('{"a": 1}\n')
    project, other = await tenant.project(), await tenant.project("other")
    made = await tenant.data(
        'mutation($p: ID!) { createStorage(input: {projectId: $p, provider: {local: {path: ""}}}) { storage { id } } }',
        p=project,
    )
    storage = made["createStorage"]["storage"]["id"]
    await tenant.sync(storage)
    scheduled = (
        'mutation($id: ID!) { syncStorage(input: {id: $id, scheduledAt: "2099-01-01T00:00:00Z"}) { job { id } } }'
    )
    await tenant.data(scheduled, id=storage)
    neighbour = await tenant.storage(other)
    await tenant.add(*tenant.objects(other, neighbour, ["kept.txt"]))

    assert (await tenant.data(DELETE_PROJECT, id=project))["deleteProject"] == {"deletedId": project, "errors": []}
    found = await tenant.data(
        """query($id: ID!) { project(id: $id) { id } node(id: $id) { id }
          projects { nodes { id } } storages { nodes { id } } }""",
        id=project,
    )
    assert (found["project"], found["node"]) == (None, None)
    assert found["projects"]["nodes"] == [{"id": other}]
    assert found["storages"]["nodes"] == [{"id": neighbour}]
    for query, field in (
        (DELETE_PROJECT, "deleteProject"),
        ('mutation($id: ID!) { updateProject(input: {id: $id, name: "x"}) { errors { code path } } }', "updateProject"),
    ):
        assert (await tenant.data(query, id=project))[field]["errors"] == [{"code": "NOT_FOUND", "path": ["id"]}]
    into = """mutation($id: ID!) { createStorage(input: {projectId: $id, provider: {local: {path: ""}}}) {
      errors { code path } } }"""
    answer = (await tenant.data(into, id=project))["createStorage"]
    assert answer["errors"] == [{"code": "NOT_FOUND", "path": ["projectId"]}]

    assert (await removed(tenant, "REMOVE_PROJECT"))["status"] == "COMPLETED"
    left = {cls.__name__: await rows(tenant, cls) for cls in (Project, Storage, SyncedObject, SourceFile, Job)}
    assert left == {"Project": 1, "Storage": 1, "SyncedObject": 1, "SourceFile": 0, "Job": 1}
    assert (await tenant.data("query($id: ID!) { storage(id: $id) { id } }", id=storage))["storage"] is None


async def test_a_storage_that_was_moved_in_stays_for_its_objects_elsewhere(tenant: Tenant) -> None:
    """Its objects are where it came from: deleting the other project must not lose them, nor their storage."""
    (tenant.folder / "a.txt").write_text("a")
    first, second = await tenant.project("first"), await tenant.project("second")
    storage = await tenant.storage(first)
    await tenant.sync(storage)
    move = """mutation($id: ID!, $to: ID!) { updateStorage(input: {id: $id, projectId: $to, confirmRescan: true}) {
      storage { project { name } } errors { message } } }"""
    assert (await tenant.data(move, id=storage, to=second))["updateStorage"]["storage"]["project"]["name"] == "second"
    await tenant.data(DELETE_PROJECT, id=second)
    assert (await removed(tenant, "REMOVE_PROJECT"))["status"] == "COMPLETED"
    found = await tenant.data(
        "query($p: ID!) { project(id: $p) { objects { nodes { path storage { id deletedAt project { name } } } } } }",
        p=first,
    )
    (node,) = found["project"]["objects"]["nodes"]
    assert (node["path"], node["storage"]["id"], node["storage"]["project"]["name"]) == ("a.txt", storage, "first")
    assert node["storage"]["deletedAt"] is not None


async def test_another_tenants_rows_survive(tenant: Tenant, other_tenant: Tenant) -> None:
    theirs = await other_tenant.project()
    storage = await other_tenant.storage(theirs)
    await other_tenant.add(*other_tenant.objects(theirs, storage, ["a"]))
    mine = await tenant.project()
    await tenant.data(DELETE_PROJECT, id=mine)
    await removed(tenant, "REMOVE_PROJECT")
    assert [await rows(other_tenant, cls) for cls in (Project, Storage, SyncedObject)] == [1, 1, 1]
    async with tenant.gateway.services.database.read(ALL) as session:
        assert await session.get(Project, number(mine)) is None
    assert encode_id("Project", number(mine)) == mine
