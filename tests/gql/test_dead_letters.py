"""Dead letters through the front door: listed, watched, tried again, given up."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from models.dead_letters import DeadLetter
from resolvers import dead_letters as use_cases
from tests.gql.sync_configs import made, settled
from tests.gql.tenants import Tenant, number

LETTERS = """query($filter: DeadLetterFilter, $first: Int, $after: String) {
  deadLetters(filter: $filter, first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor }
    nodes { id path row status errorType message attempts sourceObjectId storage { id } syncConfig { id } } } }"""
DECIDE = """mutation($input: DeadLettersInput!) { %sDeadLetters(input: $input) {
  count job { id trigger syncConfig { id } } jobs { id trigger } errors { __typename code message path } } }"""
WATCH = """subscription($filter: DeadLetterFilter, $first: Int! = 100) { deadLetters(filter: $filter, first: $first) {
  kind deletedId deadLetter { id path row status attempts } } }"""


async def letters(tenant: Tenant, **given: Any) -> list[dict[str, Any]]:
    """Those that meet the filter, the oldest first."""
    return (await tenant.data(LETTERS, filter=given))["deadLetters"]["nodes"][::-1]


async def decide(tenant: Tenant, what: str, **given: Any) -> dict[str, Any]:
    return (await tenant.data(DECIDE % what, input=given))[f"{what}DeadLetters"]


async def read_storage(tenant: Tenant, project: str | None = None, **files: str) -> str:
    """A storage over files of records."""
    for name, text in files.items():
        (tenant.folder / f"{name}.jsonl").write_text(text)
    data = await tenant.data(
        """mutation($project: ID!) { createStorage(input: {
          projectId: $project, provider: {local: {path: ""}}, useBlobUrls: false}) { storage { id } } }""",
        project=project or await tenant.project(),
    )
    return data["createStorage"]["storage"]["id"]


async def test_a_letter_is_listed_with_what_it_is_of(tenant: Tenant) -> None:
    storage = await read_storage(tenant, a="{}\nbad\n", b="bad\n{}\n")
    await tenant.sync(storage)
    first, second = await letters(tenant)
    assert (first["path"], first["row"], second["path"], second["row"]) == ("a.jsonl", 1, "b.jsonl", 0)
    assert (first["status"], first["errorType"], first["attempts"]) == ("QUARANTINED", "PARSE", 1)
    assert (first["storage"]["id"], first["syncConfig"], first["sourceObjectId"]) == (storage, None, "a.jsonl")
    assert [row["path"] for row in await letters(tenant, path={"startsWith": "b"})] == ["b.jsonl"]
    assert await letters(tenant, status=["DISCARDED"]) == []
    assert len(await letters(tenant, storageId=storage, errorType=["PARSE"])) == 2
    assert await letters(tenant, lastSeenAt={"lte": "2020-01-01T00:00:00Z"}) == []
    page = (await tenant.data(LETTERS, first=1))["deadLetters"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"], page["nodes"][0]["path"]) == (2, True, "b.jsonl")
    page = (await tenant.data(LETTERS, first=1, after=page["pageInfo"]["endCursor"]))["deadLetters"]
    assert (page["pageInfo"]["hasNextPage"], page["nodes"][0]["path"]) == (False, "a.jsonl")
    node = await tenant.data("query($id: ID!) { node(id: $id) { ... on DeadLetter { path } } }", id=first["id"])
    assert node == {"node": {"path": "a.jsonl"}}


async def test_a_retry_of_a_configuration_looks_at_those_keys_alone(tenant: Tenant) -> None:
    storage = await read_storage(tenant, a="{}\nbad\n", b="{}\n")
    config = (await made(tenant, storage, mode="ONE_TIME", useBlobUrls=False))["id"]
    await settled(tenant, config)
    (letter,) = await letters(tenant, syncConfigId=config)
    (tenant.folder / "b.jsonl").write_text("{}\n{}\n")  # changed, but nobody asks for it
    answer = await decide(tenant, "retry", ids=[letter["id"]])
    assert (answer["count"], answer["errors"]) == (1, [])
    assert answer["job"]["trigger"] == "RETRY"
    assert answer["job"]["syncConfig"]["id"] == config
    await settled(tenant, config, 2)
    (again,) = await letters(tenant, syncConfigId=config)
    assert (again["id"], again["status"], again["attempts"]) == (letter["id"], "QUARANTINED", 2)
    job = "query($id: ID!) { job(id: $id) { ... on SyncJob { status sync { objectsFound objectsFailed } } } }"
    counted = (await tenant.data(job, id=answer["job"]["id"]))["job"]
    assert counted == {"status": "COMPLETED_WITH_ERRORS", "sync": {"objectsFound": 2, "objectsFailed": 1}}

    (tenant.folder / "a.jsonl").write_text("{}\n{}\n")
    await decide(tenant, "retry", filter={"syncConfigId": config})
    await settled(tenant, config, 3)
    assert [row["status"] for row in await letters(tenant, syncConfigId=config)] == ["RESOLVED"]
    # What is settled is not tried again.
    assert (await decide(tenant, "retry", ids=[letter["id"]])) | {"errors": []} == {
        "count": 0, "job": None, "jobs": [], "errors": [],
    }  # fmt: skip


async def test_a_retry_of_a_storages_own_letters_is_a_sync(tenant: Tenant) -> None:
    storage = await read_storage(tenant, a="bad\n{}\n")
    await tenant.sync(storage)
    answer = await decide(tenant, "retry", filter={"storageId": storage})
    assert (answer["count"], answer["job"]["trigger"]) == (1, "RETRY")
    await tenant.finished(answer["job"]["id"])
    assert [(row["status"], row["attempts"]) for row in await letters(tenant)] == [("QUARANTINED", 2)]


async def test_a_retry_that_meets_a_run_is_given_its_job(tenant: Tenant) -> None:
    project = await tenant.project()
    storage = await read_storage(tenant, project, a="{}\n")
    (config,) = await tenant.add(*tenant.configs(project, storage, 1, status="ACTIVE"))
    (job,) = await tenant.add(*tenant.jobs([{
        "job_class": "SYNC_CONFIG", "status": "PAUSED", "storage_id": number(storage), "project_id": number(project),
        "sync_config_id": number(config), "unicity": f"sync:config:{number(config)}",
    }]))  # fmt: skip
    await tenant.add(*tenant.dead_letters(project, storage, config, 2))
    answer = await decide(tenant, "retry", filter={})
    assert (answer["count"], answer["job"]["id"], answer["errors"]) == (2, job, [])
    assert {row["status"] for row in await letters(tenant)} == {"REQUEUED"}


async def test_a_discarded_letter_stays_so_until_it_is_named(tenant: Tenant) -> None:
    storage = await read_storage(tenant, a="bad\n{}\n")
    await tenant.sync(storage)
    (letter,) = await letters(tenant)
    assert (await decide(tenant, "discard", ids=[letter["id"]]))["count"] == 1
    assert (await decide(tenant, "discard", filter={}))["count"] == 0
    assert (await decide(tenant, "retry", filter={}))["count"] == 0
    (tenant.folder / "a.jsonl").write_text("bad\n{}\n{}\n")
    await tenant.sync(storage)
    assert [row["status"] for row in await letters(tenant)] == ["DISCARDED"]
    answer = await decide(tenant, "retry", filter={"status": ["DISCARDED"]})
    assert answer["count"] == 1
    await tenant.finished(answer["job"]["id"])
    assert [row["status"] for row in await letters(tenant)] == ["QUARANTINED"]


async def test_letters_of_what_is_archived_are_left_alone(tenant: Tenant) -> None:
    project = await tenant.project()
    storage = await read_storage(tenant, project)
    (config,) = await tenant.add(*tenant.configs(project, storage, 1, status="ARCHIVED"))
    await tenant.add(*tenant.dead_letters(project, storage, config, 1))
    assert (await decide(tenant, "retry", filter={})) == {"count": 0, "job": None, "jobs": [], "errors": []}
    assert [row["status"] for row in await letters(tenant)] == ["QUARANTINED"]


async def test_a_long_list_is_worked_through_in_pieces(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.dead_letter_queries.PIECE", 3)
    monkeypatch.setattr(use_cases, "MAX_NOTED", 4)
    project = await tenant.project()
    storage = await read_storage(tenant, project)
    configs = await tenant.add(*tenant.configs(project, storage, 2))
    await tenant.add(*tenant.dead_letters(project, storage, configs[0], 8))
    assert (await decide(tenant, "retry", filter={"syncConfigId": configs[0]}))["count"] == 8
    assert (await decide(tenant, "discard", filter={"syncConfigId": configs[1]}))["count"] == 0
    assert (await decide(tenant, "discard", filter={"syncConfigId": configs[0]}))["count"] == 8
    assert {row["status"] for row in await letters(tenant)} == {"DISCARDED"}


@pytest.mark.parametrize("given", [{}, {"ids": ["x"], "filter": {}}], ids=["neither", "both"])
async def test_one_of_ids_and_filter_is_required(tenant: Tenant, given: dict[str, Any]) -> None:
    for what in ("retry", "discard"):
        answer = await decide(tenant, what, **given)
        assert [(error["code"], error["path"]) for error in answer["errors"]] == [("INVALID", ["ids"])]


async def test_too_many_ids_are_refused(tenant: Tenant) -> None:
    answer = await decide(tenant, "discard", ids=["x"] * 1_001)
    assert [error["code"] for error in answer["errors"]] == ["INVALID"]


async def change(states: AsyncGenerator[dict[str, Any]]) -> tuple[str, str | None, str | None]:
    """(kind, path, status) of the next event."""
    async with asyncio.timeout(20):
        payload = await anext(states)
    assert "errors" not in payload, payload
    event = payload["data"]["deadLetters"]
    letter = event["deadLetter"] or {}
    return event["kind"], letter.get("path"), letter.get("status")


async def test_the_list_is_watched_through_a_run_and_a_decision(tenant: Tenant, other_tenant: Tenant) -> None:
    storage = await read_storage(tenant, a="bad\n{}\n")
    await tenant.sync(storage)
    watched = tenant.subscribe(WATCH, filter={"status": ["QUARANTINED"]})
    theirs = other_tenant.subscribe(WATCH)
    assert await change(watched) == ("SNAPSHOT", "a.jsonl", "QUARANTINED")
    assert await change(watched) == ("SNAPSHOT_END", None, None)
    assert await change(theirs) == ("SNAPSHOT_END", None, None)
    (tenant.folder / "b.jsonl").write_text("bad\n{}\n")
    await tenant.sync(storage)
    assert await change(watched) == ("CREATED", "b.jsonl", "QUARANTINED")
    await decide(tenant, "discard", filter={"path": {"eq": "a.jsonl"}})
    assert await change(watched) == ("LEFT", "a.jsonl", "DISCARDED")
    (tenant.folder / "b.jsonl").write_text("{}\n{}\n")
    await tenant.sync(storage)
    assert await change(watched) == ("LEFT", "b.jsonl", "RESOLVED")
    # The other tenant saw nothing of this: what comes first is its own.
    await other_tenant.sync(await read_storage(other_tenant, own="bad\n"))
    assert await change(theirs) == ("CREATED", "own.jsonl", "QUARANTINED")
    await watched.aclose()
    await theirs.aclose()


async def test_many_changes_at_once_are_seen_too(tenant: Tenant) -> None:
    watched = tenant.subscribe(WATCH, filter={}, first=200)
    assert await change(watched) == ("SNAPSHOT_END", None, None)
    await tenant.sync(await read_storage(tenant, a="bad\n" * 150))
    seen = {(await change(watched))[0] for _ in range(150)}
    assert seen == {"CREATED"}
    await decide(tenant, "discard", filter={})
    assert {await change(watched) for _ in range(150)} == {("UPDATED", "a.jsonl", "DISCARDED")}
    await watched.aclose()


async def test_a_snapshot_has_the_newest_and_no_more_than_allowed(tenant: Tenant) -> None:
    project = await tenant.project()
    storage = await read_storage(tenant, project)
    (config,) = await tenant.add(*tenant.configs(project, storage, 1))
    await tenant.add(*tenant.dead_letters(project, storage, config, 5))
    watched = tenant.subscribe(WATCH, first=2)
    assert [await change(watched) for _ in range(3)] == [
        ("SNAPSHOT", "3", "QUARANTINED"), ("SNAPSHOT", "4", "QUARANTINED"), ("SNAPSHOT_END", None, None),
    ]  # fmt: skip
    await watched.aclose()
    refused = await anext(tenant.subscribe(WATCH, first=1_001))
    assert refused["errors"][0]["extensions"]["code"] == "INVALID"


async def test_a_letter_that_goes_with_its_row_is_told_as_deleted(tenant: Tenant) -> None:
    project = await tenant.project()
    storage = await read_storage(tenant, project)
    (config,) = await tenant.add(*tenant.configs(project, storage, 1))
    (letter,) = await tenant.add(*tenant.dead_letters(project, storage, config, 1))
    watched = tenant.subscribe(WATCH)
    assert [(await change(watched))[0] for _ in range(2)] == ["SNAPSHOT", "SNAPSHOT_END"]
    database = tenant.gateway.services.database
    async with database.write(tenant.number) as session:
        await session.delete(await session.get_one(DeadLetter, number(letter)))
    await tenant.gateway.services.hub.publish_stale("deadLetter", tenant.number)
    async with asyncio.timeout(20):
        event = (await anext(watched))["data"]["deadLetters"]
    assert event == {"kind": "DELETED", "deletedId": letter, "deadLetter": None}
    await watched.aclose()
