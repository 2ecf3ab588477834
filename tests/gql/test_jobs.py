"""Jobs through the front door: one sync at a time, signals, filters, sorting."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.gql.tenants import START, Tenant, number

ERRORS = "errors { __typename code message path ... on AlreadyRunningError { job { id status } } }"
JOB = "id status priority scheduledAt jobClass unicity dryRun trigger createdBy { kind name } sync { phase }"
SYNC = f"""mutation($input: SyncStorageInput!) {{
  syncStorage(input: $input) {{ job {{ {JOB} }} storage {{ status }} {ERRORS} }} }}"""
SIGNAL = f"""mutation($input: SignalJobInput!) {{
  signalJob(input: $input) {{ job {{ id status error {{ type message }} }} {ERRORS} }} }}"""
LIST = """query($filter: JobFilter, $order: [JobOrder!], $first: Int, $after: String) {
  jobs(filter: $filter, orderBy: $order, first: $first, after: $after) { totalCount nodes { id } } }"""
LATER = "2099-01-01T00:00:00Z"


async def start(tenant: Tenant, storage: str, **more: Any) -> dict[str, Any]:
    return (await tenant.data(SYNC, input={"id": storage, **more}))["syncStorage"]


async def signal(tenant: Tenant, job: str, kind: str) -> dict[str, Any]:
    return (await tenant.data(SIGNAL, input={"id": job, "signal": kind}))["signalJob"]


async def test_a_sync_fills_the_project(tenant: Tenant) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    project = await tenant.project()
    storage = await tenant.storage(project)
    started = await start(tenant, storage, priority=7)
    assert (started["errors"], started["storage"]["status"]) == ([], "QUEUED")
    job = started["job"]
    assert (job["status"], job["jobClass"]) == ("QUEUED", "SYNC_STORAGE")
    assert (job["priority"], job["trigger"]) == (7, "MANUAL")
    assert (job["createdBy"], job["dryRun"]) == ({"kind": "API_KEY", "name": "test"}, False)
    await tenant.finished(job["id"])
    found = await tenant.data(
        """query($job: ID!, $storage: ID!, $project: ID!) {
          job(id: $job) { status progress durationSeconds startedAt finishedAt error { message } ... on SyncJob {
            storage { id } sync { phase objectsFound objectsSynced bytesSynced lastErrors { path } } } }
          storage(id: $storage) { status lastSyncCount lastSync traceback meta lastSyncJob { id } }
          project(id: $project) { objects { totalCount } } }""",
        job=job["id"],
        storage=storage,
        project=project,
    )
    assert found["job"]["status"] == "COMPLETED"
    assert found["job"]["durationSeconds"] >= 0
    assert found["job"]["sync"] == {
        "phase": "DONE", "objectsFound": 1, "objectsSynced": 1, "bytesSynced": 3, "lastErrors": []
    }  # fmt: skip
    assert found["storage"]["lastSyncJob"] == {"id": job["id"]}
    assert (found["storage"]["status"], found["storage"]["lastSyncCount"]) == ("COMPLETED", 1)
    assert found["project"]["objects"]["totalCount"] == 1


async def test_a_second_sync_is_told_of_the_first(tenant: Tenant) -> None:
    storage = await tenant.storage()
    first = await start(tenant, storage, scheduledAt=LATER)
    assert (first["job"]["status"], first["job"]["scheduledAt"]) == ("SCHEDULED", LATER)
    second = await start(tenant, storage, scheduledAt=LATER)
    (error,) = second["errors"]
    assert (second["job"], error["__typename"], error["code"]) == (None, "AlreadyRunningError", "ALREADY_RUNNING")
    assert error["job"] == {"id": first["job"]["id"], "status": "SCHEDULED"}
    now = await start(tenant, storage)
    assert (now["errors"], now["job"]["id"]) == ([], first["job"]["id"])  # the scheduled one runs now
    await tenant.finished(now["job"]["id"])
    assert (await tenant.data(LIST))["jobs"]["totalCount"] == 1


async def test_of_many_syncs_at_once_one_is_made(tenant: Tenant) -> None:
    storage = await tenant.storage()
    answers = await asyncio.gather(*(start(tenant, storage, scheduledAt=LATER) for _ in range(8)))
    (made,) = [answer["job"]["id"] for answer in answers if answer["job"]]
    refused = [error for answer in answers for error in answer["errors"]]
    assert [(error["code"], error["job"]["id"]) for error in refused] == [("ALREADY_RUNNING", made)] * 7
    assert (await tenant.data(LIST))["jobs"]["totalCount"] == 1


async def test_a_dry_run_is_no_sync(tenant: Tenant) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    storage = await tenant.storage()
    scheduled = await start(tenant, storage, scheduledAt=LATER)
    dry = await start(tenant, storage, dryRun=True)
    assert (dry["errors"], dry["job"]["dryRun"]) == ([], True)
    await tenant.finished(dry["job"]["id"])
    report = "added updated missing unchanged filtered { rule objects } samples { path imported }"
    found = await tenant.data(
        f"""query($dry: ID!, $sync: ID!, $storage: ID!) {{
          job(id: $dry) {{ ... on SyncJob {{ dryRunReport {{ {report} }} }} }}
          sync: job(id: $sync) {{ ... on SyncJob {{ dryRunReport {{ added }} }} }}
          storage(id: $storage) {{ status lastSyncJob {{ id }} project {{ objects {{ totalCount }} }} }} }}""",
        dry=dry["job"]["id"],
        sync=scheduled["job"]["id"],
        storage=storage,
    )
    assert found["job"]["dryRunReport"] == {
        "added": 1, "updated": 0, "missing": 0, "unchanged": 0, "filtered": [],
        "samples": [{"path": "a.png", "imported": True}],
    }  # fmt: skip
    assert found["sync"]["dryRunReport"] is None
    assert (found["storage"]["status"], found["storage"]["lastSyncJob"]) == ("INITIALIZED", None)
    assert found["storage"]["project"]["objects"]["totalCount"] == 0


async def test_what_may_not_be_synced(tenant: Tenant) -> None:
    storage = await tenant.storage()
    for priority in (-101, 101):
        (error,) = (await start(tenant, storage, priority=priority))["errors"]
        assert (error["code"], error["path"]) == ("INVALID", ["priority"])
    await tenant.data(
        "mutation($id: ID!) { updateStorage(input: {id: $id, synchronizable: false}) { errors { message } } }",
        id=storage,
    )
    (error,) = (await start(tenant, storage))["errors"]
    assert (error["__typename"], error["code"]) == ("ConflictError", "NOT_SYNCHRONIZABLE")
    assert (await tenant.data(LIST))["jobs"]["totalCount"] == 0


async def test_signals_cancel_and_retry(tenant: Tenant) -> None:
    storage = await tenant.storage()
    job = (await start(tenant, storage, scheduledAt=LATER))["job"]["id"]
    (refused,) = (await signal(tenant, job, "RETRY"))["errors"]
    assert (refused["__typename"], refused["code"]) == ("ConflictError", "CONFLICT")
    assert (await signal(tenant, job, "CANCEL"))["job"]["status"] == "CANCELED"
    (refused,) = (await signal(tenant, job, "CANCEL"))["errors"]
    assert refused["code"] == "CONFLICT"
    again = await signal(tenant, job, "RETRY")
    assert again["errors"] == []
    assert (await tenant.finished(job))[-1]["status"] == "COMPLETED"


async def test_a_failed_sync_says_why_without_secrets(tenant: Tenant) -> None:
    (tenant.folder / "gone").mkdir()
    storage = await tenant.storage(path="gone")
    (tenant.folder / "gone").rmdir()
    job = (await start(tenant, storage))["job"]["id"]
    await tenant.finished(job)
    found = await tenant.data(
        """query($job: ID!, $storage: ID!) { job(id: $job) { status error { type message providerCode hint } }
          storage(id: $storage) { status traceback } }""",
        job=job,
        storage=storage,
    )
    assert (found["job"]["status"], found["storage"]["status"]) == ("FAILED", "FAILED")
    assert found["job"]["error"]["type"] == "PROVIDER_NOT_FOUND"
    assert found["storage"]["traceback"]
    assert str(tenant.folder) not in json.dumps(found)


@pytest.fixture
async def listed(tenant: Tenant) -> dict[str, Any]:
    """Five jobs that differ in everything one can filter by."""
    project = await tenant.project()
    storages = await tenant.add(*tenant.storages(project, 2))
    values: list[dict[str, Any]] = [
        {"priority": 5, "progress": None, "retry_count": 0, "status": "COMPLETED", "job_class": "A"},
        {"priority": -5, "progress": 0.5, "retry_count": 1, "status": "FAILED", "job_class": "B",
         "error": {"type": "X", "message": "Bucket gone_1"}, "error_message": "Bucket gone_1"},
        {"priority": 5, "progress": 0.25, "retry_count": 2, "status": "CANCELED", "job_class": "A",
         "scheduled_at": START + timedelta(days=1)},
        {"priority": 0, "progress": None, "retry_count": 0, "status": "COMPLETED", "job_class": "SYNC_STORAGE",
         "storage_id": number(storages[0]), "project_id": number(project), "unicity": "sync:1"},
        {"priority": 0, "progress": 1.0, "retry_count": 0, "status": "COMPLETED_WITH_ERRORS",
         "job_class": "SYNC_STORAGE",
         "storage_id": number(storages[1]), "project_id": number(project)},
    ]  # fmt: skip
    return {"jobs": await tenant.add(*tenant.jobs(values)), "project": project, "storages": storages}


async def indexes(tenant: Tenant, listed: dict[str, Any], **variables: Any) -> list[int]:
    nodes = (await tenant.data(LIST, **variables))["jobs"]["nodes"]
    return [listed["jobs"].index(node["id"]) for node in nodes]


async def test_jobs_are_filtered_by_everything(tenant: Tenant, listed: dict[str, Any]) -> None:
    jobs = listed["jobs"]
    filters: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [4, 3, 2, 1, 0]),
        ({"id": [jobs[1], jobs[3], "nonsense"]}, [3, 1]),
        ({"id": []}, []),
        ({"jobClass": ["A"]}, [2, 0]),
        ({"status": ["FAILED", "CANCELED"]}, [2, 1]),
        ({"priority": {"gte": 0, "lte": 4}}, [4, 3]),
        ({"priority": {"in": [-5, 5]}}, [2, 1, 0]),
        ({"progress": {"gte": 0.25, "lte": 0.5}}, [2, 1]),
        ({"retryCount": {"gte": 1}}, [2, 1]),
        ({"error": {"contains": "_"}}, [1]),
        ({"error": {"eq": "Bucket gone_1"}}, [1]),
        ({"unicity": ["sync:1"]}, [3]),
        ({"scheduledAt": {"gte": "2026-01-02T00:00:00Z"}}, [2]),
        ({"createdAt": {"lte": "2026-01-01T00:01:00Z"}}, [1, 0]),
        ({"createdAt": {"eq": "2026-01-01T01:02:00+01:00"}}, [2]),
        ({"updatedAt": {"gte": "2026-01-01T00:04:00Z"}}, [4]),
        ({"storageId": listed["storages"][0]}, [3]),
        ({"projectId": listed["project"]}, [4, 3]),
        ({"storageId": listed["project"]}, []),
        ({"jobClass": ["A"], "status": ["CANCELED"]}, [2]),
    ]
    for given, wanted in filters:
        assert await indexes(tenant, listed, filter=given) == wanted, given
        assert (await tenant.data(LIST, filter=given))["jobs"]["totalCount"] == len(wanted)


async def test_jobs_are_sorted_by_several_keys_nulls_last(tenant: Tenant, listed: dict[str, Any]) -> None:
    orders: list[tuple[list[dict[str, str]], list[int]]] = [
        ([{"field": "PRIORITY", "direction": "DESC"}, {"field": "CREATED_AT"}], [0, 2, 3, 4, 1]),
        ([{"field": "PROGRESS"}], [2, 1, 4, 0, 3]),
        ([{"field": "PROGRESS", "direction": "DESC"}], [4, 1, 2, 3, 0]),
        ([{"field": "SCHEDULED_AT"}, {"field": "JOB_CLASS", "direction": "DESC"}], [2, 3, 4, 1, 0]),
        ([{"field": "RETRY_COUNT", "direction": "DESC"}, {"field": "STATUS"}], [2, 1, 3, 0, 4]),
    ]
    for order, wanted in orders:
        found = await indexes(tenant, listed, order=order)
        assert sorted(found) == [0, 1, 2, 3, 4]
        assert found == wanted, order


async def test_lists_that_are_too_long_are_refused(tenant: Tenant) -> None:
    for given in ({"filter": {"id": ["x"] * 1_001}}, {"order": [{"field": "STATUS"}] * 9}):
        answer = await tenant.graphql(LIST, **given)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID"
