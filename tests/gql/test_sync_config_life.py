"""The life of a sync configuration against a real S3 server: runs, pauses, changes, ends, and who watches."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from models.database import ALL
from models.job_state import Claim, claim, finish
from models.job_transitions import JobEvent, apply
from models.jobs import Job, JobStatus
from tests.gql.sync_configs import (
    CONFIRM,
    CREATE,
    DELETE,
    PAUSE,
    STATES,
    TRIGGER,
    UPDATE,
    WATCH,
    ask,
    change,
    following,
    made,
    refused,
    settled,
    show,
    until,
)
from tests.gql.tenants import Tenant, number
from tests.gql.test_removal import removed
from tests.gql.test_storages import create as create_storage
from tests.gql.test_storages import s3
from tests.support.moto_server import MotoServer

OBJECTS = """query($p: ID!, $filter: SyncedObjectFilter) { project(id: $p) { stats { objects missing }
  objects(filter: $filter) { nodes { path status syncConfig { id } } } } }"""


@pytest.fixture
async def source(tenant: Tenant, moto: MotoServer, bucket: str) -> dict[str, Any]:
    """What a configuration over three files needs."""
    moto.put(bucket, {"in/a.png": b"a", "in/b.png": b"b", "in/c.txt": b"c", "elsewhere/x.png": b"x"})
    storage = (await create_storage(tenant, s3(moto, bucket)))["storage"]["id"]
    return {"projectId": await tenant.project(), "storageId": storage, "sourcePath": f"{bucket}/in/"}


async def new(tenant: Tenant, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A new configuration over the source."""
    answer = await ask(tenant, CREATE, **{**source, **more})
    assert answer["errors"] == [], answer["errors"]
    return answer["syncConfig"]


async def objects(tenant: Tenant, project: str, **which: Any) -> dict[str, str]:
    """Path → status of the objects of a project."""
    data = await tenant.data(OBJECTS, p=project, filter=which or None)
    return {node["path"]: node["status"] for node in data["project"]["objects"]["nodes"]}


async def run(tenant: Tenant, config: str, **more: Any) -> dict[str, Any]:
    """Triggers a run and waits for its end; its job."""
    started = await ask(tenant, TRIGGER, id=config, **more)
    assert started["errors"] == [], started["errors"]
    await tenant.finished(started["job"]["id"])
    return started["job"]


async def test_from_the_first_run_to_the_archive(
    tenant: Tenant, source: dict[str, Any], moto: MotoServer, bucket: str
) -> None:
    project = source["projectId"]
    config = (await new(tenant, source, fileFilters={"extensions": ["png"]}))["id"]
    first = await settled(tenant, config)
    assert (first["status"], first["isActive"], first["lastJob"]["status"]) == ("ACTIVE", True, "COMPLETED")
    assert first["lastSyncAt"] < first["nextSyncAt"]
    assert await objects(tenant, project) == {"in/a.png": "SYNCED", "in/b.png": "SYNCED"}

    moto.put(bucket, {"in/d.png": b"d"})
    moto.delete(bucket, "in/a.png")
    await change(tenant, UPDATE, id=config, fileFilters=None, name="all")
    await run(tenant, config)
    assert await objects(tenant, project) == {
        "in/a.png": "MISSING", "in/b.png": "SYNCED", "in/c.txt": "SYNCED", "in/d.png": "SYNCED",
    }  # fmt: skip
    assert await objects(tenant, project, syncConfigId=[config], status=["MISSING"]) == {"in/a.png": "MISSING"}

    paused = await change(tenant, PAUSE, id=config, reason="holidays")
    assert (paused["status"], paused["isActive"], paused["nextSyncAt"]) == ("PAUSED", False, None)
    assert paused["pause"] == {"reason": "holidays", "pausedBy": {"kind": "API_KEY", "name": "test"}}
    error = await refused(tenant, TRIGGER, id=config)
    assert (error["code"], error["path"]) == ("CONFLICT", ["id"])
    assert "Resume" in error["message"]

    await change(tenant, STATES["resume"], id=config)
    resumed = await settled(tenant, config, runs=3)
    assert (resumed["status"], resumed["pause"]) == ("ACTIVE", None)

    totals = (
        await tenant.data(
            """query($id: ID!) { syncConfig(id: $id) { totals { found synced failed bytes skippedRuns durationSeconds }
              health { healthy stale stalled reason lagSeconds failureRate deadLetters } lock { workerId }
              resume { cursor objectsProcessed } jobs { totalCount } } }""",
            id=config,
        )
    )["syncConfig"]
    assert (totals["totals"]["found"], totals["totals"]["synced"], totals["totals"]["failed"]) == (3 + 3 + 3, 4, 0)
    assert totals["health"].pop("lagSeconds") < 30
    assert totals["health"] == {
        "healthy": True, "stale": False, "stalled": False, "reason": None, "failureRate": 0, "deadLetters": 0,
    }  # fmt: skip
    assert (totals["lock"], totals["jobs"]["totalCount"]) == (None, 3)

    archived = await change(tenant, STATES["archive"], id=config)
    assert (archived["status"], archived["nextSyncAt"]) == ("ARCHIVED", None)
    for query, more in ((UPDATE, {"name": "x"}), (PAUSE, {}), (TRIGGER, {}), (TRIGGER, {"dryRun": True})):
        assert (await refused(tenant, query, id=config, **more))["code"] == "CONFLICT"
    for name in ("activate", "resume", "unlock"):
        assert (await refused(tenant, STATES[name], id=config))["code"] == "CONFLICT"
    assert len(await objects(tenant, project)) == 4


async def test_a_draft_runs_when_it_is_activated(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, draft=True, mode="ONE_TIME"))["id"]
    error = await refused(tenant, TRIGGER, id=config)
    assert error["code"] == "CONFLICT"
    assert "Activate" in error["message"]
    assert (await refused(tenant, PAUSE, id=config))["code"] == "CONFLICT"
    dry = await run(tenant, config, dryRun=True)
    assert (dry["dryRun"], dry["jobClass"], dry["syncConfig"]) == (True, "SYNC_CONFIG", {"id": config})
    assert (await show(tenant, config))["runNumber"] == 0

    await change(tenant, STATES["activate"], id=config)
    done = await settled(tenant, config)
    assert (done["status"], done["nextSyncAt"], done["isActive"]) == ("COMPLETED", None, False)
    again = await run(tenant, config)
    assert again["trigger"] == "MANUAL"
    assert (await settled(tenant, config, runs=2))["status"] == "COMPLETED"
    await change(tenant, STATES["activate"], id=config)
    assert (await settled(tenant, config, runs=3))["status"] == "COMPLETED"
    reopened = await change(tenant, UPDATE, id=config, mode="CONTINUOUS")
    assert reopened["isActive"] is True


async def test_a_path_with_objects_is_not_left_unknowingly(tenant: Tenant, source: dict[str, Any], bucket: str) -> None:
    config = (await new(tenant, source, mode="ONE_TIME"))["id"]
    await settled(tenant, config)
    moved = {"id": config, "sourcePath": f"{bucket}/elsewhere/"}
    error = await refused(tenant, UPDATE, **moved)
    assert (error["__typename"], error["code"], error["path"]) == ("ConflictError", "CONFLICT", ["sourcePath"])
    assert "confirmRescan" in error["message"]
    assert (await change(tenant, UPDATE, **moved, confirmRescan=True))["sourcePath"] == f"{bucket}/elsewhere/"
    await run(tenant, config)
    assert await objects(tenant, source["projectId"]) == {
        "in/a.png": "MISSING", "in/b.png": "MISSING", "in/c.txt": "MISSING", "elsewhere/x.png": "SYNCED",
    }  # fmt: skip


async def test_two_clicks_at_once(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, draft=True))["id"]
    both = await asyncio.gather(*(ask(tenant, STATES["activate"], id=config) for _ in range(2)))
    assert [answer["errors"] for answer in both] == [[], []]
    await settled(tenant, config)
    later = "2099-01-01T00:00:00Z"
    clicks = await asyncio.gather(*(ask(tenant, TRIGGER, id=config, scheduledAt=later) for _ in range(2)))
    won, lost = sorted(clicks, key=lambda answer: len(answer["errors"]))
    assert won["errors"] == []
    (error,) = lost["errors"]
    assert (error["__typename"], error["code"]) == ("AlreadyRunningError", "ALREADY_RUNNING")
    assert error["job"] == {"id": won["job"]["id"], "status": "SCHEDULED"}

    paused = await asyncio.gather(*(ask(tenant, PAUSE, id=config, reason=str(click)) for click in range(2)))
    assert [answer["errors"] for answer in paused] == [[], []]
    assert paused[0]["syncConfig"]["pause"] == paused[1]["syncConfig"]["pause"]
    resumed = await asyncio.gather(*(ask(tenant, STATES["resume"], id=config) for _ in range(2)))
    codes = sorted(error["code"] for answer in resumed for error in answer["errors"])
    assert codes == ["CONFLICT"]
    deleted = await asyncio.gather(*(ask(tenant, DELETE, id=config) for _ in range(2)))
    assert sorted(error["code"] for answer in deleted for error in answer["errors"]) == ["NOT_FOUND"]


async def test_a_configuration_is_watched_with_its_run(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, draft=True))["id"]
    watched = tenant.subscribe(WATCH, id=config)
    first = await following(watched)
    assert (first["status"], first["currentJob"]) == ("DRAFT", None)
    await change(tenant, STATES["activate"], id=config)
    states = [first]
    while states[-1]["lastJob"] is None:
        states.append(await following(watched))
    revisions = [state["revision"] for state in states]
    assert revisions == sorted(revisions)
    jobs = [state["currentJob"] for state in states if state["currentJob"] is not None]
    assert {job["status"] for job in jobs} >= {"IN_PROGRESS"}
    assert [job["revision"] for job in jobs] == sorted(job["revision"] for job in jobs)
    assert states[-1]["lastJob"]["status"] == "COMPLETED"

    await change(tenant, STATES["archive"], id=config)
    last = await following(watched)
    while last["status"] != "ARCHIVED":
        last = await following(watched)
    with pytest.raises(StopAsyncIteration):
        await following(watched)


async def test_progress_between_two_changes_of_the_row_is_seen(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, mode="ONE_TIME"))["id"]
    await settled(tenant, config)
    later = await ask(tenant, TRIGGER, id=config, scheduledAt="2099-01-01T00:00:00Z")
    watched = tenant.subscribe(WATCH, id=config)
    before = await following(watched)
    assert before["currentJob"]["id"] == later["job"]["id"]
    services = tenant.gateway.services
    async with services.database.read(tenant.number) as session:
        job = await session.get_one(Job, number(later["job"]["id"]))
    job.tick, job.sync = 1, {"phase": "IMPORTING", "objectsFound": 7}
    await services.hub.publish("job", job)
    shown = await following(watched)
    assert shown["currentJob"]["sync"] == {"phase": "IMPORTING", "objectsFound": 7, "objectsSynced": 0}
    assert shown["currentJob"]["revision"] == before["currentJob"]["revision"] + 1
    assert (shown["revision"], shown["status"]) == (before["revision"], before["status"])
    await watched.aclose()


async def test_a_deleted_configuration_is_gone_at_once(tenant: Tenant, source: dict[str, Any]) -> None:
    project = source["projectId"]
    keeps = await new(tenant, source, sourcePath=source["sourcePath"] + "a*", mode="ONE_TIME")
    drops = await new(tenant, source, sourcePath=source["sourcePath"] + "b*", mode="ONE_TIME")
    for config in (keeps["id"], drops["id"]):
        await settled(tenant, config)
    job = (await show(tenant, drops["id"]))["lastJob"]["id"]
    watched = tenant.subscribe(WATCH, id=drops["id"])
    await following(watched)
    for config, with_objects in ((keeps["id"], False), (drops["id"], True)):
        answer = await ask(tenant, DELETE, id=config, deleteObjects=with_objects)
        assert answer == {"deletedId": config, "errors": []}
        assert await show(tenant, config) is None
    with pytest.raises(StopAsyncIteration):
        await following(watched)
    removals = await tenant.data('{ jobs(filter: {jobClass: ["REMOVE_SYNC_CONFIG"]}) { nodes { id } } }')
    for removal in removals["jobs"]["nodes"]:
        await tenant.finished_any(removal["id"])
    found = await tenant.data(OBJECTS, p=project)
    assert found["project"]["objects"]["nodes"] == [{"path": "in/a.png", "status": "SYNCED", "syncConfig": None}]
    left = await tenant.data("query($id: ID!) { job(id: $id) { status ... on SyncJob { syncConfig { id } } } }", id=job)
    assert left["job"] == {"status": "COMPLETED", "syncConfig": None}


async def test_a_deleted_storage_archives_its_configurations(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source))["id"]
    await settled(tenant, config)
    scheduled = await ask(tenant, TRIGGER, id=config, scheduledAt="2099-01-01T00:00:00Z")
    await tenant.data(
        "mutation($id: ID!) { deleteStorage(input: {id: $id}) { errors { code } } }", id=source["storageId"]
    )
    assert (await show(tenant, config))["status"] == "ARCHIVED"
    found = await tenant.data("query($id: ID!) { job(id: $id) { status } }", id=scheduled["job"]["id"])
    assert found["job"]["status"] == "CANCELED"


async def test_a_deleted_project_takes_its_configurations_along(tenant: Tenant, source: dict[str, Any]) -> None:
    config = await new(tenant, source)
    await settled(tenant, config["id"])
    await tenant.data(
        "mutation($id: ID!) { deleteProject(input: {id: $id}) { errors { code } } }", id=source["projectId"]
    )
    job = await removed(tenant, "REMOVE_PROJECT")
    assert (job["status"], job["error"]) == ("COMPLETED", None)
    assert await show(tenant, config["id"]) is None
    storage = await tenant.data("query($id: ID!) { storage(id: $id) { deletedAt } }", id=source["storageId"])
    assert storage["storage"] == {"deletedAt": None}  # it is another project's


async def test_what_a_run_staged_is_confirmed(tenant: Tenant, source: dict[str, Any]) -> None:
    project = source["projectId"]
    config = (await new(tenant, source, mode="ONE_TIME", requireConfirmation=True))["id"]
    done = await settled(tenant, config)
    assert await objects(tenant, project) == {}
    staged = await objects(tenant, project, status=["STAGED"])
    assert set(staged.values()) == {"STAGED"}
    assert len(staged) == 3
    stats = (await tenant.data(OBJECTS, p=project))["project"]["stats"]
    assert stats == {"objects": 0, "missing": 0}
    answer = await ask(tenant, CONFIRM, jobId=done["lastJob"]["id"])
    assert (answer["errors"], answer["job"]["jobClass"]) == ([], "CONFIRM_SYNC")
    await tenant.finished(answer["job"]["id"])
    assert set((await objects(tenant, project)).values()) == {"SYNCED"}
    error = await refused(tenant, CONFIRM, jobId=done["lastJob"]["id"])
    assert (error["code"], error["path"]) == ("CONFLICT", ["jobId"])
    error = await refused(tenant, CONFIRM, jobId=answer["job"]["id"])
    assert error["code"] == "CONFLICT"
    assert done["lastJob"]["id"] in error["message"]
    storage_job = (await tenant.add(*tenant.jobs([{}])))[0]
    assert (await refused(tenant, CONFIRM, jobId=storage_job))["code"] == "CONFLICT"


async def test_nothing_that_is_not_locked_can_be_unlocked(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, draft=True))["id"]
    error = await refused(tenant, STATES["unlock"], id=config)
    assert (error["code"], error["path"]) == ("CONFLICT", ["id"])


LOCK = "query($id: ID!) { syncConfig(id: $id) { lock { workerId acquiredAt expiresAt } health { stalled healthy } } }"


async def hold(tenant: Tenant, job: str) -> None:
    """Lets a worker that is not there take a scheduled job."""
    async with tenant.gateway.services.database.write(ALL) as session:
        await apply(session, number(job), JobEvent.DUE)
        assert await claim(session, number(job), worker_id="elsewhere") is not None


async def lock_of(tenant: Tenant, config: str) -> dict[str, Any] | None:
    return (await tenant.data(LOCK, id=config))["syncConfig"]["lock"]


@pytest.fixture
async def held(tenant: Tenant, source: dict[str, Any]) -> dict[str, str]:
    """A configuration with a run that another worker is at."""
    config = (await new(tenant, source))["id"]
    await settled(tenant, config)
    job = (await ask(tenant, TRIGGER, id=config, scheduledAt="2099-01-01T00:00:00Z"))["job"]["id"]
    await hold(tenant, job)
    return {"config": config, "job": job}


async def test_a_run_under_way_is_shown_and_guarded(
    tenant: Tenant, source: dict[str, Any], held: dict[str, str], bucket: str
) -> None:
    config, job = held["config"], held["job"]
    shown = await show(tenant, config)
    assert (shown["status"], shown["runNumber"], shown["currentJob"]) == (
        "IN_PROGRESS", 2, {"id": job, "status": "IN_PROGRESS"},
    )  # fmt: skip
    lock = await lock_of(tenant, config)
    assert lock is not None
    assert (lock["workerId"], lock["acquiredAt"] < lock["expiresAt"]) == ("elsewhere", True)

    error = await refused(tenant, TRIGGER, id=config)
    assert (error["code"], error["job"]["id"]) == ("ALREADY_RUNNING", job)
    changes: list[tuple[str, Any]] = [
        ("sourcePath", f"{bucket}/elsewhere/"), ("fileFilters", {"extensions": ["png"]}), ("useBlobUrls", False),
        ("schemaMapping", {"mappings": [{"target": "k", "targetType": "FIELD", "source": {"type": "FOLDER_PATH"}}]}),
    ]  # fmt: skip
    for name, value in changes:
        error = await refused(tenant, UPDATE, id=config, confirmRescan=True, **{name: value})
        assert (error["code"], error["path"]) == ("CONFLICT", [name])
        assert "Pause" in error["message"]
    assert (await change(tenant, UPDATE, id=config, name="after", batchSize=9))["batchSize"] == 9


async def test_a_pause_stops_the_run_and_a_resume_goes_on(tenant: Tenant, held: dict[str, str]) -> None:
    config, job = held["config"], held["job"]
    paused = await change(tenant, PAUSE, id=config, reason="later")
    assert (paused["status"], paused["currentJob"]) == ("PAUSED", {"id": job, "status": "PAUSED"})
    # The worker that was at it may still write.
    assert (await refused(tenant, UPDATE, id=config, fileFilters={"extensions": ["png"]}))["code"] == "CONFLICT"
    await change(tenant, STATES["unlock"], id=config)
    assert await lock_of(tenant, config) is None
    assert (await refused(tenant, STATES["unlock"], id=config))["code"] == "CONFLICT"
    await change(tenant, UPDATE, id=config, fileFilters={"extensions": ["png"]})
    resumed = await change(tenant, STATES["resume"], id=config)
    assert (resumed["status"], resumed["currentJob"]["status"]) in (("IN_PROGRESS", "QUEUED"), ("ACTIVE", "QUEUED"))
    await tenant.finished(job)
    done = await show(tenant, config)
    assert (done["status"], done["lastJob"]) == ("ACTIVE", {"id": job, "status": "COMPLETED"})


async def test_an_unlocked_run_goes_on_elsewhere(tenant: Tenant, held: dict[str, str]) -> None:
    unlocked = await change(tenant, STATES["unlock"], id=held["config"])
    assert unlocked["currentJob"]["status"] == "QUEUED"
    states = await tenant.finished(held["job"])
    assert states[-1]["status"] == "COMPLETED"


async def test_an_archive_cancels_the_run(tenant: Tenant, held: dict[str, str]) -> None:
    archived = await change(tenant, STATES["archive"], id=held["config"])
    assert (archived["status"], archived["currentJob"]["status"]) == ("ARCHIVED", "CANCELING")


async def test_a_run_is_paused_and_resumed_as_a_job_too(tenant: Tenant, held: dict[str, str]) -> None:
    signal = """mutation($id: ID!, $signal: JobSignal!) { signalJob(input: {id: $id, signal: $signal}) {
      job { status } errors { code } } }"""
    paused = (await tenant.data(signal, id=held["job"], signal="PAUSE"))["signalJob"]
    assert paused == {"job": {"status": "PAUSED"}, "errors": []}
    await change(tenant, STATES["unlock"], id=held["config"])
    resumed = (await tenant.data(signal, id=held["job"], signal="RESUME"))["signalJob"]
    assert resumed == {"job": {"status": "QUEUED"}, "errors": []}
    assert (await tenant.finished(held["job"]))[-1]["status"] == "COMPLETED"


async def test_a_run_whose_configuration_is_deleted_ends(tenant: Tenant, held: dict[str, str]) -> None:
    answer = await ask(tenant, DELETE, id=held["config"], deleteObjects=True)
    assert answer["errors"] == []
    found = await tenant.data("query($id: ID!) { job(id: $id) { status } }", id=held["job"])
    assert found["job"] == {"status": "CANCELING"}
    async with tenant.gateway.services.database.write(ALL) as session:
        job = await session.get_one(Job, number(held["job"]))
        ended = Claim(job.id, job.fence, job.namespace_id, "elsewhere")
        assert await finish(session, ended, JobStatus.COMPLETED) is not None
    removals = await tenant.data('{ jobs(filter: {jobClass: ["REMOVE_SYNC_CONFIG"]}) { nodes { id } } }')
    (removal,) = removals["jobs"]["nodes"]
    await tenant.finished_any(removal["id"])
    found = await tenant.data("query($a: ID!, $b: ID!) { a: job(id: $a) { status } b: job(id: $b) { status } }",
                              a=held["job"], b=removal["id"])  # fmt: skip
    assert found == {"a": {"status": "CANCELED"}, "b": {"status": "COMPLETED"}}


async def test_a_run_of_this_process_is_paused_in_the_middle_and_loses_nothing(tenant: Tenant) -> None:
    for index in range(20):
        (tenant.folder / f"{index:02}.jsonl").write_text(f'{{"n": {index}}}\n')
    storage = await tenant.storage()
    config = (await made(tenant, storage, mode="ONE_TIME", useBlobUrls=False, draft=True))["id"]
    ceiling = """mutation($id: ID!, $most: Float) {
      updateStorage(input: {id: $id, maxRequestsPerSecond: $most}) { errors { code } } }"""
    await tenant.data(ceiling, id=storage, most=4.0)
    await change(tenant, STATES["activate"], id=config)
    under_way = await until(
        tenant, config, lambda state: running(state) and state["currentJob"]["sync"]["objectsFound"] > 0
    )
    paused = await change(tenant, PAUSE, id=config)
    assert (paused["status"], paused["currentJob"]["status"]) == ("PAUSED", "PAUSED")
    await until(tenant, config, lambda state: state["lock"] is None)
    await tenant.data(ceiling, id=storage, most=None)
    await change(tenant, STATES["resume"], id=config)
    done = await settled(tenant, config)
    assert (done["status"], done["lastJob"]["id"]) == ("COMPLETED", under_way["currentJob"]["id"])
    assert len(await objects(tenant, done["project"]["id"])) == 20


@pytest.mark.parametrize("with_objects", [False, True])
async def test_a_configuration_is_deleted_under_a_run_of_this_process(
    tenant: Tenant, caplog: pytest.LogCaptureFixture, with_objects: bool
) -> None:
    for index in range(20):
        (tenant.folder / f"{index:02}.jsonl").write_text(f'{{"n": {index}}}\n{{"bad\n')
    storage = await tenant.storage()
    more = {"useBlobUrls": False, "batchSize": 1}
    config = (await made(tenant, storage, mode="ONE_TIME", draft=True, **more))["id"]
    await tenant.data(
        """mutation($id: ID!) { updateStorage(input: {id: $id, maxRequestsPerSecond: 8}) { errors { code } } }""",
        id=storage,
    )
    await change(tenant, STATES["activate"], id=config)
    under_way = await until(
        tenant, config, lambda state: running(state) and state["currentJob"]["sync"]["objectsFound"] > 0
    )
    answer = await ask(tenant, DELETE, id=config, deleteObjects=with_objects)
    assert answer == {"deletedId": config, "errors": []}
    states = await tenant.finished(under_way["currentJob"]["id"])
    assert states[-1]["status"] == "CANCELED"
    removals = await tenant.data('{ jobs(filter: {jobClass: ["REMOVE_SYNC_CONFIG"]}) { nodes { id } } }')
    (removal,) = removals["jobs"]["nodes"]
    await tenant.finished_any(removal["id"])
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def running(state: Mapping[str, Any]) -> bool:
    return state["currentJob"] is not None and state["currentJob"]["status"] == "IN_PROGRESS"


async def test_a_scheduled_run_is_started_at_once_when_asked(tenant: Tenant, source: dict[str, Any]) -> None:
    config = (await new(tenant, source, mode="ONE_TIME"))["id"]
    await settled(tenant, config)
    later = {"id": config, "scheduledAt": "2099-01-01T00:00:00Z"}
    first = (await ask(tenant, TRIGGER, **later))["job"]
    run_now = "mutation($id: ID!) { signalJob(input: {id: $id, signal: RUN_NOW}) { job { status } errors { code } } }"
    assert (await tenant.data(run_now, id=first["id"]))["signalJob"] == {"job": {"status": "QUEUED"}, "errors": []}
    assert (await tenant.finished(first["id"]))[-1]["status"] == "COMPLETED"
    second = (await ask(tenant, TRIGGER, **later))["job"]
    started = (await ask(tenant, TRIGGER, id=config, fullSync=True, priority=7))["job"]
    assert (started["id"], started["status"], started["priority"]) == (second["id"], "QUEUED", 7)
    assert (await tenant.finished(second["id"]))[-1]["status"] == "COMPLETED"
    error = await refused(tenant, TRIGGER, id=config, priority=101)
    assert (error["code"], error["path"]) == ("INVALID", ["priority"])
