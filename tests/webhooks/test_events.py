"""What a webhook is told about runs: with the change that it tells of, in order, and no more than asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from models import delivery_queue, job_state
from models.database import ALL
from models.deliveries import BatchStatus, Delivery
from models.job_state import Claim
from models.jobs import JobStatus
from sluicegate.core.actors import SYSTEM
from sluicegate.core.ids import encode_id
from tests.support.s3_responder import Reply
from tests.support.webhooks import Hook, Hooks, payload

DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
SYNC = {"objectsFound": 5, "objectsSynced": 4, "objectsFailed": 1, "phase": "DONE", "currentObject": "a/secret/name"}


async def begin(hooks: Hooks, hook: Hook, **payload: Any) -> Claim:
    """A run of the configuration, asked for and taken by a worker."""
    async with hooks.database.write(ALL) as session:
        job = await job_state.insert(
            session, namespace_id=hooks.tenant.namespace_id, job_class="SYNC_CONFIG", payload=payload,
            unicity=f"sync:config:{hook.config_id}", sync_config_id=hook.config_id, created_by=SYSTEM,
            storage_id=hooks.tenant.storage_id, project_id=hooks.tenant.project_id, at=hooks.clock(),
        )  # fmt: skip
        taken = await job_state.claim(session, job.id, worker_id="test", at=hooks.clock())
    assert taken is not None
    return taken[0]


async def finish(hooks: Hooks, claim: Claim, status: JobStatus, **more: Any) -> None:
    async with hooks.database.write(ALL) as session:
        await job_state.finish(session, claim, status, sync=SYNC, progress=1.0, at=hooks.clock(), **more)


async def progress(hooks: Hooks, hook: Hook, claim: Claim, found: int) -> None:
    async with hooks.database.write(ALL) as session:
        await delivery_queue.note_progress(
            session, hook.config_id, claim.job_id,
            sync={"objectsFound": found, "phase": "LISTING"}, progress=0.5, at=hooks.clock(),
        )  # fmt: skip


async def types(hooks: Hooks, hook: Hook) -> list[str]:
    return [row.event for row in await hooks.rows(hook)]


async def test_a_run_is_told_from_its_start_to_its_end(hooks: Hooks) -> None:
    hook = await hooks.hook()
    claim = await begin(hooks, hook)
    async with hooks.delivering():
        await hooks.receiver.wait("/hook")
        await finish(hooks, claim, JobStatus.COMPLETED_WITH_ERRORS)
        started, completed = [payload(request) for request in await hooks.receiver.wait("/hook", 2)]
    assert (started["type"], completed["type"]) == ("sync.started", "sync.completed")
    places = {"syncConfigId": encode_id("SyncConfig", hook.config_id), "jobId": encode_id("Job", claim.job_id)}
    zeros = dict.fromkeys(delivery_queue.COUNTERS, 0)
    assert started["data"] == {
        **places, "runNumber": 4, "status": "IN_PROGRESS", "phase": None, "progress": None, "counters": zeros,
        "error": None,
    }  # fmt: skip
    assert completed["data"] == {
        **places, "runNumber": 4, "status": "COMPLETED_WITH_ERRORS", "phase": "DONE", "progress": 1.0,
        "counters": {**zeros, "objectsFound": 5, "objectsSynced": 4, "objectsFailed": 1}, "error": None,
    }  # fmt: skip


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELED])
async def test_what_did_not_fail_has_completed(local_hooks: Hooks, status: JobStatus) -> None:
    hook = await local_hooks.hook()
    await finish(local_hooks, await begin(local_hooks, hook), status)
    async with local_hooks.delivering():
        _, request = await local_hooks.receiver.wait("/hook", 2)
    assert (payload(request)["type"], payload(request)["data"]["status"]) == ("sync.completed", status)


async def test_a_failed_run_says_why(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    error = {"type": "PROVIDER_AUTH", "message": "x" * 9_000, "hint": "Check the key.", "causes": ["inner"]}
    await finish(local_hooks, await begin(local_hooks, hook), JobStatus.FAILED, error=error)
    async with local_hooks.delivering():
        _, request = await local_hooks.receiver.wait("/hook", 2)
    told = payload(request)
    assert told["type"] == "sync.failed"
    assert told["data"]["error"] == {
        "type": "PROVIDER_AUTH", "message": "x" * 2_000, "providerCode": None, "hint": "Check the key.",
    }  # fmt: skip


async def test_a_change_that_is_undone_is_not_told(hooks: Hooks) -> None:
    hook = await hooks.hook()
    claim = await begin(hooks, hook)

    async def end_and_fail() -> None:
        async with hooks.database.write(ALL) as session:
            await job_state.finish(session, claim, JobStatus.COMPLETED)
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await end_and_fail()
    assert await types(hooks, hook) == ["SYNC_STARTED"]


async def test_a_run_that_goes_on_elsewhere_has_started_once(hooks: Hooks) -> None:
    hook = await hooks.hook()
    claim = await begin(hooks, hook)
    async with hooks.database.write(ALL) as session:
        await job_state.hand_over(session, claim)
    for _ in range(2):  # handed over, then taken from a worker that died
        hooks.clock.forward(3_600)
        async with hooks.database.write(ALL) as session:
            taken = await job_state.claim(session, claim.job_id, worker_id="other", at=hooks.clock())
        assert taken is not None
        claim = taken[0]
    await finish(hooks, claim, JobStatus.COMPLETED)
    assert await types(hooks, hook) == ["SYNC_STARTED", "SYNC_COMPLETED"]


async def test_only_the_newest_progress_waits_and_an_end_replaces_it(hooks: Hooks) -> None:
    hook = await hooks.hook()
    claim, other = await begin(hooks, hook), await hooks.hook("/other")
    other_claim = await begin(hooks, other)
    await progress(hooks, other, other_claim, 1)
    for found in (1, 2, 3):
        await progress(hooks, hook, claim, found)
    assert await types(hooks, hook) == ["SYNC_STARTED", "SYNC_PROGRESS"]
    async with hooks.delivering():
        _, request = await hooks.receiver.wait("/hook", 2)
    told = payload(request)
    assert told["type"] == "sync.progress"
    assert (told["data"]["counters"]["objectsFound"], told["data"]["progress"]) == (3, 0.5)
    await progress(hooks, hook, claim, 4)
    await finish(hooks, claim, JobStatus.COMPLETED)
    rows = [(row.event, row.status) for row in await hooks.rows(hook)]
    assert rows == [("SYNC_STARTED", "DELIVERED"), ("SYNC_PROGRESS", "DELIVERED"), ("SYNC_COMPLETED", "PENDING")]
    assert await types(hooks, other) == ["SYNC_STARTED", "SYNC_PROGRESS"]


@pytest.mark.parametrize(
    ("events", "told"),
    [(["SYNC_COMPLETED"], ["SYNC_COMPLETED"]), (["SYNC_FAILED", "BATCH_READY"], []), ([], [])],
)
async def test_a_webhook_is_told_what_it_asked_for(local_hooks: Hooks, events: list[str], told: list[str]) -> None:
    hook = await local_hooks.hook()
    await local_hooks.change(hook, webhook_events=events)
    claim = await begin(local_hooks, hook)
    await progress(local_hooks, hook, claim, 1)
    await finish(local_hooks, claim, JobStatus.COMPLETED)
    assert await types(local_hooks, hook) == told


async def test_without_a_webhook_nothing_is_written(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    await local_hooks.change(hook, webhook_url=None)
    await finish(local_hooks, await begin(local_hooks, hook), JobStatus.COMPLETED)
    assert await types(local_hooks, hook) == []


async def test_dry_runs_are_told_to_nobody(local_hooks: Hooks) -> None:
    hook = await local_hooks.hook()
    await finish(local_hooks, await begin(local_hooks, hook, dryRun=True), JobStatus.COMPLETED)
    assert await types(local_hooks, hook) == []


async def test_an_end_waits_for_its_start_and_others_for_neither(hooks: Hooks) -> None:
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(500), Reply(204))
    async with hooks.delivering():
        claim = await begin(hooks, hook)
        (started,) = await hooks.rows(hook)
        await hooks.tried(started.id)
        await finish(hooks, claim, JobStatus.COMPLETED)
        batch = await hooks.batch(hook)
        await hooks.ended(batch)
        assert [payload(request)["type"] for request in hooks.receiver.taken] == ["sync.started", "batch.ready"]
        hooks.forward(6.0)
        await hooks.receiver.wait("/hook", 4)
    told = [payload(request)["type"] for request in hooks.receiver.taken]
    assert told[2:] == ["sync.started", "sync.completed"]


async def test_an_end_goes_out_when_its_start_is_given_up(hooks: Hooks) -> None:
    hook = await hooks.hook()
    hooks.receiver.say("/hook", Reply(410), Reply(204))
    await finish(hooks, await begin(hooks, hook), JobStatus.COMPLETED)
    async with hooks.delivering():
        await hooks.receiver.wait("/hook", 2)
    async with hooks.database.read(ALL) as session:
        started = await session.scalar(select(Delivery.status).where(Delivery.event == "SYNC_STARTED"))
    assert started == BatchStatus.FAILED


async def test_the_messages_look_as_they_are_described(local_hooks: Hooks) -> None:
    described = re.findall(r"^```json\n(.*?)^```", DESCRIPTION.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    examples = {example["type"]: example for example in map(json.loads, described)}
    hook = await local_hooks.hook()
    await local_hooks.object(b"a")
    await finish(local_hooks, await begin(local_hooks, hook), JobStatus.COMPLETED)
    await local_hooks.batch(hook, (b"a", 0))
    async with local_hooks.delivering():
        requests = await local_hooks.receiver.wait("/hook", 3)
    sent = {told["type"]: told for told in map(payload, requests)}
    for name, example in examples.items():
        assert shape(sent[name]) == shape(example)
    assert len(examples) == 2


def shape(value: Any) -> Any:
    """The names in it."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None
