"""Relay connections through the front door. The order itself is proved in tests/models/test_pagination.py."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from tests.gql.tenants import Tenant

PROJECTS = """query($first: Int, $after: String, $last: Int, $before: String) {
  projects(first: $first, after: $after, last: $last, before: $before) {
    totalCount edges { cursor node { id } } nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def page(tenant: Tenant, **variables: Any) -> dict[str, Any]:
    return (await tenant.data(PROJECTS, **variables))["projects"]


async def refused(tenant: Tenant, **variables: Any) -> dict[str, Any]:
    answer = await tenant.graphql(PROJECTS, **variables)
    (error,) = answer["errors"]
    return error


async def test_a_list_is_walked_forward_and_backward(tenant: Tenant) -> None:
    ids = await tenant.add(*tenant.projects(7))

    first = await page(tenant, first=3)
    assert [node["id"] for node in first["nodes"]] == ids[:3]
    assert [edge["node"]["id"] for edge in first["edges"]] == ids[:3]
    assert first["totalCount"] == 7
    assert first["pageInfo"] == {
        "hasNextPage": True, "hasPreviousPage": False,
        "startCursor": first["edges"][0]["cursor"], "endCursor": first["edges"][-1]["cursor"],
    }  # fmt: skip

    second = await page(tenant, first=4, after=first["pageInfo"]["endCursor"])
    assert [node["id"] for node in second["nodes"]] == ids[3:]
    assert (second["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (False, True)

    back = await page(tenant, last=2, before=second["pageInfo"]["startCursor"])
    assert [node["id"] for node in back["nodes"]] == ids[1:3]
    assert (back["pageInfo"]["hasNextPage"], back["pageInfo"]["hasPreviousPage"]) == (True, True)

    end = await page(tenant, last=2)
    assert [node["id"] for node in end["nodes"]] == ids[5:]


async def test_a_page_has_100_rows_unless_told_and_1000_at_most(tenant: Tenant) -> None:
    await tenant.add(*tenant.projects(101))
    default = await page(tenant)
    assert (len(default["nodes"]), default["pageInfo"]["hasNextPage"]) == (100, True)
    everything = await page(tenant, first=1_000)
    assert (len(everything["nodes"]), everything["pageInfo"]["hasNextPage"]) == (101, False)
    nothing = await page(tenant, first=0)
    assert (nothing["nodes"], nothing["totalCount"], nothing["pageInfo"]["hasNextPage"]) == ([], 101, True)


@pytest.mark.parametrize(
    "given", [{"first": 1, "last": 1}, {"first": -1}, {"last": -1}, {"first": 1_001}, {"last": 1_001}]
)
async def test_sizes_that_are_not_allowed_are_invalid(tenant: Tenant, given: dict[str, int]) -> None:
    assert (await refused(tenant, **given))["extensions"]["code"] == "INVALID"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "no cursor",
        "é",
        urlsafe_b64encode(b"[1]").decode(),
        urlsafe_b64encode(b'{"a": 1}').decode(),
        urlsafe_b64encode(b"\xff\xff").decode(),
        "A" * 10_000,
    ],
)
async def test_what_is_no_cursor_is_invalid(tenant: Tenant, cursor: str) -> None:
    for argument in ("after", "before"):
        assert (await refused(tenant, **{argument: cursor}))["extensions"]["code"] == "INVALID"


async def test_a_cursor_belongs_to_its_list_its_filter_and_its_order(tenant: Tenant) -> None:
    project, other = await tenant.add(*tenant.projects(2))
    for each in (project, other):
        await tenant.add(*tenant.storages(each, 2))
    query = """query($p: ID!, $after: String, $filter: StorageFilter, $order: [StorageOrder!]) {
      project(id: $p) { storages(first: 1, after: $after, filter: $filter, orderBy: $order) {
        pageInfo { endCursor } } } }"""
    by_title = [{"field": "TITLE"}]

    async def cursor(**variables: Any) -> dict[str, Any]:
        return await tenant.graphql(query, **variables)

    start = (await cursor(p=project, order=by_title))["data"]["project"]["storages"]["pageInfo"]["endCursor"]
    assert "errors" not in await cursor(p=project, order=by_title, after=start)
    elsewhere: list[dict[str, Any]] = [
        {"p": other, "order": by_title},
        {"p": project, "order": [{"field": "TITLE", "direction": "DESC"}]},
        {"p": project},
        {"p": project, "order": by_title, "filter": {"type": ["LOCAL"]}},
    ]
    for variables in elsewhere:
        answer = await cursor(**variables, after=start)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID", variables
    assert (await refused(tenant, after=start))["extensions"]["code"] == "INVALID"


async def test_pages_of_several_parents_at_once_are_each_their_own(tenant: Tenant) -> None:
    """More parents than one statement takes, each with its own page and count."""
    projects = await tenant.add(*tenant.projects(60))
    wanted = {project: await tenant.add(*tenant.storages(project, index % 4)) for index, project in enumerate(projects)}
    found = await tenant.data(
        """{ projects(first: 60) { nodes { id
          up: storages(first: 2) { totalCount nodes { id } pageInfo { hasNextPage } }
          down: storages(last: 2, orderBy: [{field: CREATED_AT}, {field: TITLE}]) { nodes { id } } } } }"""
    )
    for node in found["projects"]["nodes"]:
        ids = wanted[node["id"]]
        assert [each["id"] for each in node["up"]["nodes"]] == ids[:2]
        assert node["up"]["totalCount"] == len(ids)
        assert node["up"]["pageInfo"]["hasNextPage"] is (len(ids) > 2)
        assert sorted(each["id"] for each in node["down"]["nodes"]) == sorted(ids[-2:])


async def test_cursors_are_opaque_and_name_nothing_secret(tenant: Tenant) -> None:
    await tenant.add(*tenant.projects(1))
    cursor = (await page(tenant))["pageInfo"]["endCursor"]
    assert tenant.name not in json.dumps(cursor)
    assert cursor.replace("-", "").replace("_", "").isalnum()
