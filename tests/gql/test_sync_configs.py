"""Sync configurations through the front door: made, changed and refused, against real folders and an S3 server."""

import asyncio
import json
from typing import Any

import pytest

from sluicegate.core.ids import encode_id
from tests.gql.sync_configs import (
    CREATE,
    DELETE,
    STATES,
    TRIGGER,
    UPDATE,
    ask,
    change,
    create,
    made,
    refused,
    settled,
    show,
)
from tests.gql.tenants import Tenant, number
from tests.gql.test_storages import UPDATE as UPDATE_STORAGE
from tests.gql.test_storages import create as create_storage
from tests.gql.test_storages import s3
from tests.support.moto_server import MotoServer

MAPPING = {"mappings": [{"target": "kind", "targetType": "FIELD", "source": {"type": "FOLDER_PATH", "segment": 0}}]}


@pytest.fixture
async def storage(tenant: Tenant) -> str:
    (tenant.folder / "in").mkdir()
    (tenant.folder / "in" / "a.png").write_bytes(b"png")
    (tenant.folder / "in" / "b.csv").write_text("x\n1\n")
    return await tenant.storage()


async def test_a_configuration_is_made_with_the_defaults_of_the_schema(tenant: Tenant, storage: str) -> None:
    project = await tenant.project()
    answer = await create(tenant, storage, projectId=project, sourcePath="in", draft=True)
    assert (answer["errors"], answer["webhookSecret"], answer["warnings"]) == ([], None, [])
    config = answer["syncConfig"]
    expected = {
        "name": "", "sourcePath": "in", "mode": "CONTINUOUS", "status": "DRAFT", "isActive": False, "metadata": {},
        "pollingIntervalSeconds": 300, "cron": None, "timeZone": "UTC", "batchSize": 50, "batchChunkSize": 100,
        "maxObjectsPerRun": None, "checkpointFrequency": 1000, "skipDuplicates": False, "skipBatchSubmission": False,
        "requireConfirmation": False, "useBlobUrls": True, "onUpdate": "REPLACE", "onDelete": "MARK",
        "maxMissingFraction": 0.5, "runNumber": 0, "nextSyncAt": None, "lastSyncAt": None, "lastError": None,
        "consecutiveFailures": 0, "fileFilters": None, "schemaMapping": None, "webhook": None, "pause": None,
        "currentJob": None, "lastJob": None, "createdBy": {"kind": "API_KEY", "name": "test"},
        "storage": {"id": storage}, "project": {"id": project}, "resume": {"enabled": True},
    }  # fmt: skip
    assert {name: config[name] for name in expected} == expected
    assert await show(tenant, config["id"]) == config


async def test_all_that_is_given_is_kept(tenant: Tenant, storage: str) -> None:
    given: dict[str, Any] = {
        "name": "Photos", "mode": "SCHEDULED", "cron": "30 2 * * 1-5", "timeZone": "Europe/Berlin",
        "pollingIntervalSeconds": 30, "batchSize": 1, "batchChunkSize": 1000, "maxObjectsPerRun": 1,
        "checkpointFrequency": 10_000, "skipDuplicates": True, "skipBatchSubmission": True, "requireConfirmation": True,
        "useBlobUrls": False, "onUpdate": "IGNORE", "onDelete": "REMOVE", "maxMissingFraction": 1.0,
        "metadata": {"team": ["a", {"b": None}]},
    }  # fmt: skip
    config = await made(
        tenant, storage, **given, draft=True, resumeEnabled=False, schemaMapping=MAPPING,
        fileFilters={"extensions": ["csv"], "minSizeBytes": 1, "modifiedAfter": "2026-01-01T00:00:00Z"},
    )  # fmt: skip
    assert {name: config[name] for name in given} == given
    assert config["resume"] == {"enabled": False}
    assert config["fileFilters"] == {
        "regex": None, "extensions": ["csv"], "includePatterns": [], "minSizeBytes": 1,
        "modifiedAfter": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    assert config["schemaMapping"]["mappings"][0]["target"] == "kind"


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "x" * 257}, ["name"]),
    ({"name": "nul \x00"}, ["name"]),
    ({"pollingIntervalSeconds": 29}, ["pollingIntervalSeconds"]),
    ({"pollingIntervalSeconds": 901}, ["pollingIntervalSeconds"]),
    ({"batchSize": 0}, ["batchSize"]),
    ({"batchSize": 101}, ["batchSize"]),
    ({"batchChunkSize": 1001}, ["batchChunkSize"]),
    ({"checkpointFrequency": 99}, ["checkpointFrequency"]),
    ({"checkpointFrequency": 10_001}, ["checkpointFrequency"]),
    ({"maxObjectsPerRun": 0}, ["maxObjectsPerRun"]),
    ({"maxMissingFraction": 1.01}, ["maxMissingFraction"]),
    ({"maxMissingFraction": -0.1}, ["maxMissingFraction"]),
    ({"metadata": {str(key): 1 for key in range(51)}}, ["metadata"]),
    ({"metadata": {"long": "x" * 16_384}}, ["metadata"]),
    ({"metadata": [1]}, ["metadata"]),
    ({"metadata": {"nul": "\x00"}}, ["metadata"]),
    ({"cron": "0 0 * * *"}, ["cron"]),
    ({"mode": "SCHEDULED", "cron": "0 0 * *"}, ["cron"]),
    ({"mode": "SCHEDULED", "cron": "*/5 * * * * *"}, ["cron"]),
    ({"mode": "SCHEDULED", "cron": "0 0 31 2 *"}, ["cron"]),
    ({"timeZone": "Mars/Olympus"}, ["timeZone"]),
    ({"timeZone": "../etc/passwd"}, ["timeZone"]),
    ({"sourcePath": "../other"}, ["sourcePath"]),
    ({"sourcePath": "/in"}, ["sourcePath"]),
    ({"sourcePath": "x" * 1025}, ["sourcePath"]),
    ({"fileFilters": {"includePatterns": ["[a"]}}, ["fileFilters", "includePatterns", "0"]),
    ({"fileFilters": {"regex": "(?!a)"}}, ["fileFilters", "regex"]),
    ({"schemaMapping": {"mappings": [{"target": "t", "targetType": "FIELD",
                                      "source": {"type": "TAG", "key": "k"}}]}},
     ["schemaMapping", "mappings", "0", "source", "type"]),
    ({"schemaMapping": {"mappings": [{"target": "t", "targetType": "FIELD",
                                      "source": {"type": "COLUMN", "key": "k"}}]}},
     ["schemaMapping", "mappings", "0", "source", "type"]),
    ({"webhook": {"url": "http://example.com/hook"}}, ["webhook", "url"]),
    ({"webhook": {"url": "https://user:pass@example.com/"}}, ["webhook", "url"]),
    ({"webhook": {"url": "https://127.0.0.2/"}}, ["webhook", "url"]),
    ({"webhook": {"url": "https://93.184.216.34/", "secret": "short"}}, ["webhook", "secret"]),
    ({"webhook": {"url": "https://93.184.216.34/", "events": []}}, ["webhook", "events"]),
]  # fmt: skip


async def test_bad_values_are_typed_errors_with_their_place(tenant: Tenant, storage: str) -> None:
    wanted = {"projectId": await tenant.project(), "storageId": storage, "sourcePath": "in"}
    for given, path in BAD:
        error = await refused(tenant, CREATE, **{**wanted, **given})
        assert (error["__typename"], error["code"], error["path"]) == ("InputError", "INVALID", path), given
    assert (await tenant.data("{ syncConfigs { totalCount } }"))["syncConfigs"]["totalCount"] == 0


async def test_what_it_names_must_be_there_and_usable(tenant: Tenant, storage: str) -> None:
    project = await tenant.project()
    given = {"projectId": project, "storageId": storage, "sourcePath": "in"}
    for field, kind in (("projectId", "Project"), ("storageId", "Storage")):
        for nothing in (encode_id(kind, 2**40), "nonsense", encode_id("Job", 1)):
            error = await refused(tenant, CREATE, **{**given, field: nothing})
            assert (error["code"], error["path"]) == ("NOT_FOUND", [field])
    await tenant.data(
        "mutation($id: ID!) { updateStorage(input: {id: $id, synchronizable: false}) { errors { code } } }", id=storage
    )
    error = await refused(tenant, CREATE, **given)
    assert (error["code"], error["path"]) == ("NOT_SYNCHRONIZABLE", ["storageId"])
    await tenant.data("mutation($id: ID!) { deleteStorage(input: {id: $id}) { errors { code } } }", id=storage)
    assert (await refused(tenant, CREATE, **given))["code"] == "NOT_FOUND"


async def test_a_folder_that_is_not_there_is_no_source_and_an_empty_one_is_warned_of(
    tenant: Tenant, storage: str
) -> None:
    given = {"projectId": await tenant.project(), "storageId": storage, "draft": True}
    error = await refused(tenant, CREATE, **given, sourcePath="in/nowhere")
    assert (error["__typename"], error["code"]) == ("ProviderError", "PROVIDER_NOT_FOUND")
    (tenant.folder / "empty").mkdir()
    answer = await ask(tenant, CREATE, **given, sourcePath="empty")
    assert [(warning["code"], warning["path"]) for warning in answer["warnings"]] == [("EMPTY_PREFIX", ["sourcePath"])]


async def test_sources_of_s3(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"in/videos/a.mp4": b"mp4", "in/videos/b.csv": b"a\n1\n"})
    storage = (await create_storage(tenant, s3(moto, bucket, prefix="in/")))["storage"]["id"]
    project = await tenant.project()
    given = {"projectId": project, "storageId": storage, "draft": True}

    fine = await ask(tenant, CREATE, **given, sourcePath=f"{bucket}/in/videos")
    assert (fine["errors"], fine["warnings"]) == ([], [])
    for path in (bucket, f"{bucket}/other", "another-bucket/in/", f"s3://{bucket}/in/"):
        error = await refused(tenant, CREATE, **given, sourcePath=path)
        assert (error["code"], error["path"]) == ("INVALID", ["sourcePath"]), path
        assert f"{bucket}/in/" in error["message"]

    empty = await ask(tenant, CREATE, **given, sourcePath=f"{bucket}/in/nothing/")
    assert [warning["code"] for warning in empty["warnings"]] == ["EMPTY_PREFIX"]
    nothing = await ask(tenant, CREATE, **given, sourcePath=f"{bucket}/in/videos/", fileFilters={"extensions": ["png"]})
    codes = {warning["code"]: warning["path"] for warning in nothing["warnings"]}
    assert codes == {"OVERLAP": ["sourcePath"], "NOTHING_IMPORTED": ["fileFilters", "extensions"]}


async def test_a_source_that_cannot_be_reached_is_the_providers_error(
    tenant: Tenant, moto: MotoServer, bucket: str
) -> None:
    storage = await create_storage(tenant, s3(moto, bucket, s3Endpoint="http://127.0.0.1:9"), validate=False)
    given = {"projectId": await tenant.project(), "storageId": storage["storage"]["id"], "sourcePath": bucket}
    error = await refused(tenant, CREATE, **given)
    assert (error["__typename"], error["code"]) == ("ProviderError", "PROVIDER_UNAVAILABLE")
    gone = (await create_storage(tenant, s3(moto, "no-such-bucket-at-all"), validate=False))["storage"]["id"]
    error = await refused(tenant, CREATE, **{**given, "storageId": gone, "sourcePath": "no-such-bucket-at-all"})
    assert error["code"] == "PROVIDER_NOT_FOUND"


async def test_other_sources_over_the_same_objects_are_warned_of(tenant: Tenant, storage: str) -> None:
    project = await tenant.project()

    async def codes(of: str, path: str, target: str) -> list[str]:
        answer = await create(tenant, of, projectId=target, sourcePath=path, draft=True)
        assert answer["errors"] == []
        return [warning["code"] for warning in answer["warnings"] if warning["code"] != "EMPTY_PREFIX"]

    (tenant.folder / "other").mkdir()
    assert await codes(storage, "in", project) == []  # its own storage is synced by nobody
    assert await codes(storage, "other", project) == []
    assert await codes(storage, "", project) == ["OVERLAP"]
    assert await codes(storage, "in", await tenant.project()) == []  # another dataset
    another = await tenant.storage(path="in")
    assert await codes(another, "in", project) == ["OVERLAP"]  # the same files through another storage
    beside = await tenant.project()
    await tenant.storage(beside, path="in")
    assert await codes(storage, "in", beside) == ["OVERLAP"]  # a storage of the project itself


async def test_a_webhooks_secret_is_shown_once(tenant: Tenant, storage: str) -> None:
    hook = {"url": "https://93.184.216.34/hook"}
    answer = await create(tenant, storage, webhook=hook, draft=True)
    secret = answer["webhookSecret"]
    assert secret.startswith("whsec_")
    config = answer["syncConfig"]
    assert config["webhook"] == {
        "url": hook["url"], "events": ["SYNC_STARTED", "SYNC_COMPLETED", "SYNC_FAILED", "BATCH_READY"],
    }  # fmt: skip
    renamed = await ask(tenant, UPDATE, id=config["id"], name="after")
    asked = await ask(tenant, UPDATE, id=config["id"], webhook={**hook, "events": ["SYNC_PROGRESS"]})
    assert (renamed["webhookSecret"], asked["webhookSecret"]) == (None, None)
    assert asked["syncConfig"]["webhook"]["events"] == ["SYNC_PROGRESS"]
    given = "whsec_" + "QUJD" * 8
    replaced = await ask(tenant, UPDATE, id=config["id"], webhook={**hook, "secret": given})
    assert (replaced["errors"], replaced["webhookSecret"]) == ([], None)
    assert await stored_secret(tenant, config["id"]) == given
    gone = await change(tenant, UPDATE, id=config["id"], webhook=None)
    assert (gone["webhook"], await stored_secret(tenant, config["id"])) == (None, None)
    again = await ask(tenant, UPDATE, id=config["id"], webhook=hook)
    assert again["webhookSecret"].startswith("whsec_")
    assert again["webhookSecret"] not in (secret, given)
    assert secret not in json.dumps([await show(tenant, config["id"]), renamed, asked, replaced, again])


async def stored_secret(tenant: Tenant, config: str) -> str | None:
    from models.sync_configs import SyncConfig
    from sluicegate.webhooks.secrets import open_secret

    services = tenant.gateway.services
    async with services.database.read(tenant.number) as session:
        row = await session.get_one(SyncConfig, number(config))
    if row.sealed_webhook_secret is None:
        return None
    return open_secret(services.secrets, row.sealed_webhook_secret, config_id=row.id, namespace_id=row.namespace_id)


async def test_an_update_changes_what_is_given_and_null_resets(tenant: Tenant, storage: str) -> None:
    config = await made(
        tenant, storage, draft=True, name="before", batchSize=7, maxObjectsPerRun=5, metadata={"a": 1},
        fileFilters={"extensions": ["png"]}, schemaMapping=MAPPING, onDelete="REMOVE", mode="SCHEDULED", cron="@daily",
    )  # fmt: skip
    changed = await change(tenant, UPDATE, id=config["id"], name="after")
    assert changed["revision"] > config["revision"]
    assert {**changed, "revision": 0, "name": ""} == {**config, "revision": 0, "name": ""}
    reset = await change(
        tenant, UPDATE, id=config["id"], name=None, batchSize=None, maxObjectsPerRun=None, metadata=None,
        fileFilters=None, schemaMapping=None, onDelete=None, cron=None, mode=None,
    )  # fmt: skip
    assert [reset[name] for name in ("name", "batchSize", "maxObjectsPerRun", "metadata", "fileFilters")] == [
        "", 50, None, {}, None,
    ]  # fmt: skip
    assert [reset[name] for name in ("schemaMapping", "onDelete", "cron", "mode")] == [None, "MARK", None, "CONTINUOUS"]

    error = await refused(tenant, UPDATE, id=config["id"], sourcePath=None)
    assert (error["code"], error["path"]) == ("INVALID", ["sourcePath"])
    error = await refused(tenant, UPDATE, id=config["id"], batchSize=101)
    assert (error["code"], error["path"]) == ("INVALID", ["batchSize"])
    error = await refused(tenant, UPDATE, id=config["id"], cron="@daily")
    assert (error["code"], error["path"]) == ("INVALID", ["cron"])
    cron = await change(tenant, UPDATE, id=config["id"], cron="@daily", mode="SCHEDULED")
    assert (cron["cron"], cron["mode"]) == ("@daily", "SCHEDULED")
    error = await refused(tenant, UPDATE, id=config["id"], mode="CONTINUOUS")
    assert (error["code"], error["path"]) == ("INVALID", ["mode"])
    error = await refused(tenant, UPDATE, id=config["id"], sourcePath="nowhere")
    assert error["code"] == "PROVIDER_NOT_FOUND"
    moved = await change(tenant, UPDATE, id=config["id"], sourcePath="in")
    assert moved["sourcePath"] == "in"


async def test_ids_of_nothing_are_not_found(tenant: Tenant) -> None:
    for query in (UPDATE, DELETE, *STATES.values()):
        for nothing in (encode_id("SyncConfig", 2**40), "nonsense", encode_id("Storage", 1)):
            error = await refused(tenant, query, id=nothing)
            assert (error["__typename"], error["code"], error["path"]) == ("NotFoundError", "NOT_FOUND", ["id"])


async def test_lists_filters_and_orders(tenant: Tenant, storage: str) -> None:
    project, other = await tenant.project("one"), await tenant.project("two")
    a = await made(tenant, storage, projectId=project, name="a", draft=True)
    b = await made(tenant, storage, projectId=project, name="b", draft=True, mode="ONE_TIME")
    c = await made(tenant, storage, projectId=other, name="c", draft=True)
    await change(tenant, STATES["archive"], id=c["id"])

    async def names(arguments: str) -> list[str]:
        data = await tenant.data(f"{{ syncConfigs{arguments} {{ nodes {{ name }} totalCount }} }}")
        found = [node["name"] for node in data["syncConfigs"]["nodes"]]
        assert data["syncConfigs"]["totalCount"] == len(found)
        return found

    assert await names("") == ["a", "b"]
    assert await names("(orderBy: [{field: NAME, direction: DESC}])") == ["b", "a"]
    assert await names("(filter: {status: [ARCHIVED, DRAFT]})") == ["a", "b", "c"]
    assert await names("(filter: {mode: [ONE_TIME]})") == ["b"]
    assert await names("(filter: {isActive: true})") == []
    assert await names("(filter: {isActive: false})") == ["a", "b"]
    assert await names(f'(filter: {{storageId: "{storage}"}})') == ["a", "b"]
    assert await names(f'(projectId: "{other}", filter: {{status: [ARCHIVED]}})') == ["c"]
    found = await tenant.data(
        """query($s: ID!, $p: ID!, $ids: [ID!]!) { storage(id: $s) { syncConfigs { totalCount nodes { name } } }
          project(id: $p) { syncConfigs(last: 1) { nodes { name } } }
          nodes(ids: $ids) { __typename ... on SyncConfig { name } } }""",
        s=storage, p=project, ids=[a["id"], b["id"], c["id"]],
    )  # fmt: skip
    assert found["storage"]["syncConfigs"] == {"totalCount": 2, "nodes": [{"name": "a"}, {"name": "b"}]}
    assert found["project"]["syncConfigs"]["nodes"] == [{"name": "b"}]
    assert [node["name"] for node in found["nodes"]] == ["a", "b", "c"]


async def test_configurations_follow_a_storage_that_is_pointed_elsewhere(tenant: Tenant, storage: str) -> None:
    config = (await made(tenant, storage, sourcePath="in", mode="ONE_TIME"))["id"]
    await settled(tenant, config)
    narrower = {"id": storage, "provider": {"local": {"path": "in"}}}
    error = await refused(tenant, UPDATE_STORAGE, **narrower)
    assert (error["code"], error["path"]) == ("CONFLICT", ["provider", "local", "path"])
    assert "confirmRescan" in error["message"]
    (tenant.folder / "out").mkdir()
    outside = {"id": storage, "provider": {"local": {"path": "out"}}, "confirmRescan": True}
    error = await refused(tenant, UPDATE_STORAGE, **outside)
    assert (error["code"], error["path"]) == ("CONFLICT", ["provider", "local", "path"])
    assert "'in'" in error["message"]
    assert (await ask(tenant, UPDATE_STORAGE, **narrower, confirmRescan=True))["errors"] == []
    # The same folder, by shorter names: its files are found again under these.
    await tenant.finished((await ask(tenant, TRIGGER, id=config))["job"]["id"])
    found = await tenant.data(
        "query($id: ID!) { syncConfig(id: $id) { project { objects { nodes { path status } } } } }", id=config
    )
    paths = {node["path"]: node["status"] for node in found["syncConfig"]["project"]["objects"]["nodes"]}
    assert paths == {"in/a.png": "MISSING", "in/b.csv": "MISSING", "a.png": "SYNCED", "b.csv": "SYNCED"}


async def test_a_namespace_has_so_many_and_no_more_however_many_are_made_at_once(
    tenant: Tenant, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(tenant.gateway.services.settings), "max_sync_configs", 3)
    project = await tenant.project()
    answers = await asyncio.gather(
        *(create(tenant, storage, projectId=project, draft=True, sourcePath="") for _ in range(6))
    )
    kept = [answer["syncConfig"]["id"] for answer in answers if answer["syncConfig"]]
    assert len(kept) == 3
    assert {error["code"] for answer in answers for error in answer["errors"]} == {"LIMIT"}
    await change(tenant, STATES["archive"], id=kept[0])
    await made(tenant, storage, projectId=project, draft=True)
    (error,) = (await create(tenant, storage, projectId=project, draft=True))["errors"]
    assert error["code"] == "LIMIT"
    assert error["message"].startswith("A namespace has at most 3 sync configurations.")
