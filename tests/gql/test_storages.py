"""Storages through the front door, against a real S3 server and real folders."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.gql.tenants import Tenant
from tests.support.moto_server import MotoServer

ERRORS = "errors { __typename code message path ... on ProviderError { provider providerCode hint } }"
S3 = "... on S3Storage { bucket prefix regionName s3Endpoint roleArn }"
STORAGE = (
    f"storage {{ __typename id type title presignTtl regexFilter useBlobUrls credentialsSet revision deletedAt {S3} }}"
)
CREATE = f"""mutation($input: CreateStorageInput!) {{ createStorage(input: $input) {{
  {STORAGE} warnings {{ code message path }} {ERRORS} }} }}"""
UPDATE = f"""mutation($input: UpdateStorageInput!) {{ updateStorage(input: $input) {{
  {STORAGE} warnings {{ code message path }} {ERRORS} }} }}"""
DELETE = f"mutation($input: DeleteStorageInput!) {{ deleteStorage(input: $input) {{ deletedId {ERRORS} }} }}"
VALIDATE = f"""mutation($input: ValidateStorageInput!) {{ validateStorage(input: $input) {{
  ok checks {{ name status detail providerCode hint milliseconds }} warnings {{ code path }} {ERRORS} }} }}"""
PREVIEW = f"""mutation($input: PreviewStorageInput!) {{ previewStorage(input: $input) {{
  items {{ path sizeBytes imported filteredBy }} listed complete filtered {{ rule objects }} {ERRORS} }} }}"""
SECRET = "very-secret-value-0123456789"


def s3(moto: MotoServer, name: str, **more: Any) -> dict[str, Any]:
    return {
        "s3": {
            "bucket": name, "s3Endpoint": moto.endpoint, "regionName": "us-east-1", "awsAccessKeyId": "AKIATEST",
            "awsSecretAccessKey": SECRET, **more,
        }
    }  # fmt: skip


async def create(tenant: Tenant, provider: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    project = more.pop("projectId", None) or await tenant.project()
    given = {"projectId": project, "provider": provider, **more}
    return (await tenant.data(CREATE, input=given))["createStorage"]


async def update(tenant: Tenant, storage: str, **changes: Any) -> dict[str, Any]:
    return (await tenant.data(UPDATE, input={"id": storage, **changes}))["updateStorage"]


def only_error(answer: Mapping[str, Any]) -> dict[str, Any]:
    assert answer.get("storage") is None
    (error,) = answer["errors"]
    return error


async def test_an_s3_storage_is_tried_and_its_secrets_never_come_out(
    tenant: Tenant, moto: MotoServer, bucket: str
) -> None:
    moto.put(bucket, {"in/a.png": b"png", "in/b.png": b"png"})
    answer = await create(tenant, s3(moto, bucket, prefix="in/"), title="Photos", presignTtl=60)
    assert answer["errors"] == []
    storage = answer["storage"]
    assert (storage["__typename"], storage["type"], storage["title"]) == ("S3Storage", "S3", "Photos")
    assert (storage["bucket"], storage["prefix"], storage["s3Endpoint"]) == (bucket, "in/", moto.endpoint)
    assert storage["credentialsSet"] == ["awsAccessKeyId", "awsSecretAccessKey"]
    assert [warning["code"] for warning in answer["warnings"]] == ["CORS", "NOTHING_IMPORTED"]
    everything = await tenant.data(
        f"query($id: ID!) {{ storage(id: $id) {{ meta traceback {S3} ... on S3Storage {{ externalId }} }} }}",
        id=storage["id"],
    )
    assert SECRET not in json.dumps([answer, everything])


@pytest.mark.parametrize(
    ("change", "code", "provider_code"),
    [
        ({"bucket": "no-such-bucket-anywhere"}, "PROVIDER_NOT_FOUND", "NoSuchBucket"),
        ({"s3Endpoint": "http://127.0.0.1:9"}, "PROVIDER_UNAVAILABLE", None),
        ({"s3Endpoint": "http://10.0.0.1:9000"}, "PROVIDER_REFUSED", "ENDPOINT_REFUSED"),
        ({"s3Endpoint": "http://169.254.169.254"}, "PROVIDER_REFUSED", "ENDPOINT_REFUSED"),
    ],
)
async def test_what_does_not_work_is_not_created(
    tenant: Tenant, moto: MotoServer, bucket: str, change: dict[str, str], code: str, provider_code: str | None
) -> None:
    error = only_error(await create(tenant, s3(moto, bucket, **change)))
    assert (error["__typename"], error["code"], error["provider"]) == ("ProviderError", code, "S3")
    assert provider_code in (None, error["providerCode"])
    assert SECRET not in json.dumps(error)
    assert (await tenant.data("{ storages { totalCount } }"))["storages"]["totalCount"] == 0
    unchecked = await create(tenant, s3(moto, bucket, **change), validate=False)
    assert (unchecked["errors"], unchecked["storage"]["type"]) == ([], "S3")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"title": "x" * 257}, ["title"]),
        ({"title": "nul \x00"}, ["title"]),
        ({"description": "x" * 10_001}, ["description"]),
        ({"presignTtl": 0}, ["presignTtl"]),
        ({"presignTtl": 32_768}, ["presignTtl"]),
        ({"regexFilter": "("}, ["regexFilter"]),
        ({"regexFilter": r"(?=look)ahead"}, ["regexFilter"]),
        ({"maxRequestsPerSecond": 0}, ["maxRequestsPerSecond"]),
        ({"maxBytesPerSecond": -1}, ["maxBytesPerSecond"]),
        ({"provider": {"local": {"path": "../outside"}}}, ["provider", "local", "path"]),
        ({"provider": {"s3": {"bucket": "a/b"}}}, ["provider", "s3", "bucket"]),
        ({"provider": {"s3": {"bucket": "bucket"}}}, ["provider", "s3", "awsAccessKeyId"]),
        (
            {
                "provider": {
                    "s3": {
                        "bucket": "bucket",
                        "awsAccessKeyId": "x",
                        "awsSecretAccessKey": "y",
                        "eventQueueUrl": "my-queue",
                    }
                }
            },
            ["provider", "s3", "eventQueueUrl"],
        ),
        ({"provider": {"s3": {"bucket": "bucket", "awsAccessKeyId": "x"}}}, ["provider", "s3", "awsSecretAccessKey"]),
    ],
)
async def test_bad_values_are_typed_errors_with_their_place(
    tenant: Tenant, given: dict[str, Any], path: list[str]
) -> None:
    error = only_error(await create(tenant, **{"provider": {"local": {"path": ""}}, **given}))
    assert (error["__typename"], error["code"], error["path"]) == ("InputError", "INVALID", path)


async def test_a_catastrophic_regex_is_matched_in_no_time(tenant: Tenant) -> None:
    (tenant.folder / ("a" * 200 + "!")).write_text("x")
    answer = await create(tenant, {"local": {"path": ""}}, regexFilter="(a+)+$")
    found = (await tenant.data(PREVIEW, input={"id": answer["storage"]["id"]}))["previewStorage"]
    assert (found["listed"], found["filtered"]) == (1, [{"rule": "regex", "objects": 1}])


async def test_an_update_changes_what_is_given_and_keeps_secrets(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"a.png": b"png"})
    made = (await create(tenant, s3(moto, bucket), title="before", presignTtl=9, regexFilter=".*"))["storage"]

    changed = await update(tenant, made["id"], title="after")
    assert changed["errors"] == []
    assert (changed["storage"]["title"], changed["storage"]["presignTtl"]) == ("after", 9)
    assert changed["storage"]["revision"] > made["revision"]

    reset = (await update(tenant, made["id"], presignTtl=None, regexFilter=None, title=None))["storage"]
    assert (reset["presignTtl"], reset["regexFilter"], reset["title"]) == (1, None, "")

    region = await update(tenant, made["id"], provider={"s3": {"regionName": None}})
    assert (region["errors"], region["storage"]["regionName"], region["storage"]["bucket"]) == ([], None, bucket)
    assert region["storage"]["credentialsSet"] == ["awsAccessKeyId", "awsSecretAccessKey"]
    assert (await tenant.data(VALIDATE, input={"id": made["id"]}))["validateStorage"]["ok"] is True

    removed = only_error(await update(tenant, made["id"], provider={"s3": {"awsSecretAccessKey": None}}))
    assert removed["path"] == ["provider", "s3", "awsSecretAccessKey"]
    missing = only_error(await update(tenant, made["id"], provider={"s3": {"bucket": None}}))
    assert missing["path"] == ["provider", "s3", "bucket"]
    other = only_error(await update(tenant, made["id"], provider={"local": {"path": ""}}))
    assert (other["code"], other["path"]) == ("INVALID", ["provider", "local"])
    broken = only_error(await update(tenant, made["id"], provider={"s3": {"bucket": "no-such-bucket"}}))
    assert (broken["code"], broken["provider"]) == ("PROVIDER_NOT_FOUND", "S3")


async def test_a_storage_with_objects_is_not_pointed_elsewhere_unknowingly(tenant: Tenant) -> None:
    for name in ("one", "two"):
        (tenant.folder / name).mkdir()
        (tenant.folder / name / "a.txt").write_text(name)
    storage = await tenant.storage(path="one")
    assert (await update(tenant, storage, provider={"local": {"path": "two"}}))["errors"] == []
    await tenant.sync(storage)

    elsewhere: list[tuple[dict[str, Any], list[str]]] = [
        ({"provider": {"local": {"path": "one"}}}, ["provider", "local", "path"]),
        ({"projectId": await tenant.project()}, ["projectId"]),
    ]
    for change, path in elsewhere:
        refused = only_error(await update(tenant, storage, **change))
        assert (refused["__typename"], refused["code"], refused["path"]) == ("ConflictError", "CONFLICT", path)
        assert "confirmRescan" in refused["message"]
    assert (await update(tenant, storage, provider={"local": {"path": "two"}}))["errors"] == []  # where it is already
    assert (await update(tenant, storage, provider={"local": {"path": "one"}}, confirmRescan=True))["errors"] == []


async def test_a_storage_that_moves_to_another_project_is_read_anew(tenant: Tenant) -> None:
    (tenant.folder / "record.json").write_text('{"a": 1}')
    storage = await tenant.storage()
    assert (await update(tenant, storage, useBlobUrls=False))["errors"] == []
    await tenant.sync(storage)
    moved = await tenant.project()
    assert (await update(tenant, storage, projectId=moved, confirmRescan=True))["errors"] == []
    await tenant.sync(storage)
    found = await tenant.data("query($id: ID!) { storage(id: $id) { lastSyncCount } }", id=storage)
    assert found["storage"]["lastSyncCount"] == 1


async def test_two_storages_over_the_same_objects_are_warned_of(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    project = await tenant.project()
    moto.put(bucket, {"in/a.png": b"png"})

    async def codes(prefix: str, target: str) -> list[str]:
        answer = await create(tenant, s3(moto, bucket, prefix=prefix), projectId=target, title=prefix)
        assert answer["errors"] == []
        return [warning["code"] for warning in answer["warnings"] if warning["code"] in {"OVERLAP", "LIST"}]

    assert await codes("in/", project) == []
    assert await codes("in/a", project) == ["OVERLAP"]
    assert await codes("other/", project) == ["LIST"]  # nothing there
    assert await codes("in/", await tenant.project()) == []  # another dataset


async def test_configurations_over_the_same_objects_are_warned_of(tenant: Tenant) -> None:
    project = await tenant.project()
    for name in ("in", "out"):
        (tenant.folder / name).mkdir()
        (tenant.folder / name / "a.txt").write_text("a")
    read = await tenant.storage()
    made = await tenant.data(
        "mutation($input: CreateSyncConfigInput!) { createSyncConfig(input: $input) { errors { message } } }",
        input={"projectId": project, "storageId": read, "sourcePath": "in", "name": "mine", "draft": True},
    )
    assert made["createSyncConfig"]["errors"] == []

    def overlaps(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
        assert answer["errors"] == []
        return [(each["message"], each["path"]) for each in answer["warnings"] if each["code"] == "OVERLAP"]

    warned = (
        "The project's sync configuration 'mine' reads some of the same objects: they will be in the dataset twice.",
        ["provider", "local", "path"],
    )
    assert overlaps(await create(tenant, {"local": {"path": ""}}, projectId=project)) == [warned]
    assert overlaps(await create(tenant, {"local": {"path": "in"}}, projectId=await tenant.project())) == []
    beside = await create(tenant, {"local": {"path": "out"}}, projectId=await tenant.project())
    moved = await update(tenant, beside["storage"]["id"], projectId=project, provider={"local": {"path": "in"}})
    assert warned in overlaps(moved)
    assert overlaps(await update(tenant, read, projectId=project, provider={"local": {"path": "in"}}))[1:] == []


async def test_a_deleted_storage_is_archived(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"a.png": b"png"})
    project = await tenant.project()
    storage = (await create(tenant, s3(moto, bucket), projectId=project, useBlobUrls=True))["storage"]["id"]
    finished = await tenant.sync(storage)
    scheduled = (
        await tenant.data(
            """mutation($id: ID!) { syncStorage(input: {id: $id, scheduledAt: "2099-01-01T00:00:00Z"}) {
              job { id status } } }""",
            id=storage,
        )
    )["syncStorage"]["job"]
    assert scheduled["status"] == "SCHEDULED"

    assert (await tenant.data(DELETE, input={"id": storage}))["deleteStorage"] == {"deletedId": storage, "errors": []}

    found = await tenant.data(
        """query($id: ID!, $project: ID!, $scheduled: ID!, $finished: ID!) {
          storage(id: $id) { deletedAt credentialsSet }
          storages { totalCount } project(id: $project) { storages { totalCount } objects { nodes {
            url storage { id } blobs { uri url } } } }
          scheduled: job(id: $scheduled) { status ... on SyncJob { storage { id } } }
          finished: job(id: $finished) { status ... on SyncJob { storage { id } } } }""",
        id=storage,
        project=project,
        scheduled=scheduled["id"],
        finished=finished,
    )
    assert found["storage"]["deletedAt"] is not None
    assert found["storage"]["credentialsSet"] == []
    assert (found["storages"]["totalCount"], found["project"]["storages"]["totalCount"]) == (0, 0)
    assert found["project"]["objects"]["nodes"] == [
        {"url": None, "storage": {"id": storage}, "blobs": [{"uri": f"s3://{bucket}/a.png", "url": None}]}
    ]
    assert found["scheduled"] == {"status": "CANCELED", "storage": {"id": storage}}
    assert found["finished"] == {"status": "COMPLETED", "storage": {"id": storage}}

    absent = {"id": storage}
    for query, field in ((DELETE, "deleteStorage"), (UPDATE, "updateStorage"), (PREVIEW, "previewStorage")):
        (error,) = (await tenant.data(query, input=absent))[field]["errors"]
        assert (error["code"], error["path"]) == ("NOT_FOUND", ["id"])


async def test_validation_goes_step_by_step(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"a.png": b"png"})
    works = (await tenant.data(VALIDATE, input={"provider": s3(moto, bucket), "write": True}))["validateStorage"]
    assert works["ok"] is True
    steps = {check["name"]: check["status"] for check in works["checks"]}
    assert list(steps) == ["resolve", "connect", "authenticate", "list", "read", "cors", "write", "events"]
    assert (steps["cors"], steps["events"]) == ("WARNING", "SKIPPED")
    assert {status for name, status in steps.items() if name not in ("cors", "events")} == {"PASSED"}
    assert moto.keys(bucket) == ["a.png"]  # the probe is gone

    queueless = s3(moto, bucket, eventQueueUrl=f"{moto.endpoint}/123456789012/no-such-queue")
    deaf = (await tenant.data(VALIDATE, input={"provider": queueless}))["validateStorage"]
    assert [(check["name"], check["status"]) for check in deaf["checks"]][-1] == ("events", "FAILED")
    refused = only_error(await create(tenant, queueless))
    assert (refused["code"], refused["provider"]) == ("PROVIDER_NOT_FOUND", "S3")

    broken = (await tenant.data(VALIDATE, input={"provider": s3(moto, "no-such-bucket")}))["validateStorage"]
    assert (broken["ok"], broken["errors"]) == (False, [])
    failed = next(check for check in broken["checks"] if check["status"] == "FAILED")
    assert failed["providerCode"] == "NoSuchBucket"
    assert {check["status"] for check in broken["checks"][broken["checks"].index(failed) + 1 :]} == {"SKIPPED"}

    for given in ({}, {"id": "x", "provider": s3(moto, bucket)}):
        (error,) = (await tenant.data(VALIDATE, input=given))["validateStorage"]["errors"]
        assert error["code"] == "INVALID"


async def test_a_preview_explains_why_nothing_would_come(tenant: Tenant) -> None:
    for name in ("a.txt", "b.png", "c.png"):
        (tenant.folder / name).write_text("content")
    made = await create(tenant, {"local": {"path": ""}}, regexFilter=r".*\.png$", useBlobUrls=True)
    storage = made["storage"]["id"]
    found = (await tenant.data(PREVIEW, input={"id": storage, "first": 2}))["previewStorage"]
    assert found["items"] == [
        {"path": "a.txt", "sizeBytes": 7, "imported": False, "filteredBy": "regex"},
        {"path": "b.png", "sizeBytes": 7, "imported": True, "filteredBy": None},
    ]
    assert (found["listed"], found["complete"], found["filtered"]) == (3, True, [{"rule": "regex", "objects": 1}])
    (error,) = (await tenant.data(PREVIEW, input={"id": storage, "first": 1_001}))["previewStorage"]["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["first"])


async def test_lists_are_filtered_and_sorted(tenant: Tenant) -> None:
    project = await tenant.project()
    for title in ("b", "A_1", "a%1", "a1"):
        await tenant.storage(project, title=title)

    async def titles(**variables: Any) -> list[str]:
        query = """query($filter: StorageFilter, $order: [StorageOrder!]) {
          storages(filter: $filter, orderBy: $order) { nodes { title } } }"""
        return [node["title"] for node in (await tenant.data(query, **variables))["storages"]["nodes"]]

    assert await titles() == ["b", "A_1", "a%1", "a1"]
    assert await titles(order=[{"field": "TITLE"}]) == ["A_1", "a%1", "a1", "b"]
    assert await titles(order=[{"field": "TITLE", "direction": "DESC"}]) == ["b", "a1", "a%1", "A_1"]
    # By bytes on both databases: case matters, and nothing is a wildcard.
    assert await titles(filter={"title": {"contains": "_"}}) == ["A_1"]
    assert await titles(filter={"title": {"contains": "%"}}) == ["a%1"]
    assert await titles(filter={"title": {"startsWith": "a"}}) == ["a%1", "a1"]
    assert await titles(filter={"title": {"in": ["b", "a1"], "startsWith": "a"}}) == ["a1"]
    assert await titles(filter={"type": ["S3"]}) == []
    assert await titles(filter={"status": ["INITIALIZED"], "title": {"eq": "b"}}) == ["b"]


async def test_text_that_no_database_holds_is_invalid_in_filters(tenant: Tenant) -> None:
    for given in ({"eq": "\x00"}, {"in": ["\x00"]}, {"contains": "\x00"}, {"startsWith": "\x00"}):
        answer = await tenant.graphql(
            "query($title: StringFilter) { storages(filter: {title: $title}) { nodes { id } } }", title=given
        )
        assert answer["errors"][0]["extensions"]["code"] == "INVALID"
