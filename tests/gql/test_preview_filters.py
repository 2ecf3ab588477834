"""previewStorage with fileFilters: what each rule leaves out, and what is wrong with those that mean nothing."""

from typing import Any

import pytest

from sluicegate.core.ids import encode_id
from tests.gql.sync_configs import made
from tests.gql.tenants import Tenant
from tests.gql.test_storages import create, s3
from tests.support.moto_server import MotoServer

PREVIEW = """mutation($input: PreviewStorageInput!) { previewStorage(input: $input) {
  items { path imported filteredBy } listed complete filtered { rule objects } warnings { code message path }
  errors { __typename code message path } } }"""
FILES = ("a.jpg", "b.JPG", "clip.mp4", "notes", "raw/x/a.jpg", "raw/a.cr2", "raw/tmp/a.jpg")


async def preview(tenant: Tenant, storage: str, **rules: Any) -> dict[str, Any]:
    return (await tenant.data(PREVIEW, input={"id": storage, "fileFilters": rules}))["previewStorage"]


def imported(found: dict[str, Any]) -> set[str]:
    assert found["errors"] == []
    return {item["path"] for item in found["items"] if item["imported"]}


def counts(found: dict[str, Any]) -> dict[str, int]:
    return {part["rule"]: part["objects"] for part in found["filtered"]}


@pytest.fixture
async def storage(tenant: Tenant) -> str:
    for name in FILES:
        (tenant.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tenant.folder / name).write_text("x" * len(name))
    made = await create(tenant, {"local": {"path": ""}}, regexFilter="nothing has this", useBlobUrls=True)
    return made["storage"]["id"]


@pytest.mark.parametrize(
    ("rules", "taken", "left"),
    [
        ({}, set(FILES), {}),
        ({"includePatterns": [], "extensions": None}, set(FILES), {}),
        ({"includePatterns": ["/*.jpg", "raw/**"], "excludePatterns": ["tmp/"]}, {"a.jpg", "raw/x/a.jpg", "raw/a.cr2"},
         {"include_patterns": 3, "exclude_patterns": 1}),
        ({"extensions": [".jpg"], "minSizeBytes": 6}, {"raw/x/a.jpg", "raw/tmp/a.jpg"},
         {"min_size_bytes": 3, "extensions": 2}),
        ({"mimeTypes": ["video/"], "maxSizeBytes": 8}, {"clip.mp4"}, {"max_size_bytes": 3, "mime_types": 3}),
        ({"regex": "raw/.*r2$"}, {"raw/a.cr2"}, {"regex": 6}),
        ({"modifiedAfter": "2001-01-01T00:00:00Z", "modifiedBefore": "2999-01-01T00:00:00Z"}, set(FILES), {}),
        ({"modifiedBefore": "2001-01-01T00:00:00Z"}, set(), {"modified_before": 7}),
        ({"modifiedAfter": "2999-01-01T00:00:00Z"}, set(), {"modified_after": 7}),
    ],
)  # fmt: skip
async def test_each_rule_is_tried_in_place_of_the_stored_one(
    tenant: Tenant, storage: str, rules: dict[str, Any], taken: set[str], left: dict[str, int]
) -> None:
    found = await preview(tenant, storage, **rules)
    assert (imported(found), counts(found)) == (taken, left)
    assert (found["listed"], found["complete"]) == (7, True)


async def test_globs_are_relative_to_the_prefix(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"in/2026/a.png": b"png", "in/2026/sub/b.png": b"png", "in/2027/c.png": b"png"})
    made = await create(tenant, s3(moto, bucket, prefix="in/2026/"), useBlobUrls=True)
    found = await preview(tenant, made["storage"]["id"], includePatterns=["/*.png"])
    assert imported(found) == {"in/2026/a.png"}
    assert (found["listed"], counts(found)) == (2, {"include_patterns": 1})


async def test_rules_that_leave_nothing_say_which_one_to_mend(tenant: Tenant, storage: str) -> None:
    for rules, field in (({"regex": "zzz"}, "regex"), ({"extensions": ["tif"], "minSizeBytes": 6}, "extensions")):
        (warning,) = (await preview(tenant, storage, **rules))["warnings"]
        assert (warning["code"], warning["path"]) == ("NOTHING_IMPORTED", ["fileFilters", field])
    stored = (await tenant.data(PREVIEW, input={"id": storage}))["previewStorage"]
    assert [warning["path"] for warning in stored["warnings"]] == [["regexFilter"]]


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"includePatterns": ["*.jpg", "[a"]}, ["includePatterns", "1"]),
        ({"excludePatterns": ["a"] * 101}, ["excludePatterns"]),
        ({"extensions": ["*.jpg"]}, ["extensions", "0"]),
        ({"mimeTypes": ["video"]}, ["mimeTypes", "0"]),
        ({"minSizeBytes": 2, "maxSizeBytes": 1}, ["minSizeBytes"]),
        ({"modifiedAfter": "2026-01-02T00:00:00Z", "modifiedBefore": "2026-01-01T00:00:00Z"}, ["modifiedAfter"]),
        ({"regex": "(?!a)"}, ["regex"]),
    ],
)
async def test_a_rule_that_means_nothing_is_invalid(
    tenant: Tenant, storage: str, rules: dict[str, Any], path: list[str]
) -> None:
    found = await preview(tenant, storage, **rules)
    (error,) = found["errors"]
    assert error["__typename"] == "InputError"
    assert (error["code"], error["path"]) == ("INVALID", ["fileFilters", *path])
    assert (found["items"], found["listed"]) == ([], 0)
    assert error["message"].count(".") >= 2, "a reason, and how to mend it"


async def test_a_configuration_is_previewed_by_its_path_its_filters_and_its_mode(tenant: Tenant, storage: str) -> None:
    config = (await made(tenant, storage, sourcePath="raw", fileFilters={"includePatterns": ["/*.cr2"]}, draft=True))[
        "id"
    ]

    async def seen(**more: Any) -> dict[str, Any]:
        given = {"id": storage, "syncConfigId": config, **more}
        return (await tenant.data(PREVIEW, input=given))["previewStorage"]

    found = await seen()
    assert (imported(found), found["listed"], counts(found)) == ({"raw/a.cr2"}, 3, {"include_patterns": 2})
    assert imported(await seen(fileFilters={"includePatterns": ["x/*"]})) == {"raw/x/a.jpg"}
    nothing = await seen(fileFilters={"extensions": ["tif"]})
    assert [warning["path"] for warning in nothing["warnings"]] == [["fileFilters", "extensions"]]
    records = (await made(tenant, storage, sourcePath="raw", useBlobUrls=False, draft=True))["id"]
    assert [warning["path"] for warning in (await seen(syncConfigId=records))["warnings"]] == [["useBlobUrls"]]
    other = await tenant.storage()
    (error,) = (await seen(id=other))["errors"]
    assert (error["code"], error["path"]) == ("INVALID", ["syncConfigId"])
    (error,) = (await seen(syncConfigId=encode_id("SyncConfig", 2**40)))["errors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", ["syncConfigId"])
