"""Projects through the front door."""

import json
from typing import Any

import pytest

from tests.gql.tenants import Tenant

FIELDS = (
    "project { id name description objectSchema createdAt updatedAt namespace { name } } errors { code message path }"
)
CREATE = f"mutation($input: CreateProjectInput!) {{ createProject(input: $input) {{ {FIELDS} }} }}"
UPDATE = f"mutation($input: UpdateProjectInput!) {{ updateProject(input: $input) {{ {FIELDS} }} }}"


async def test_a_project_is_created_found_and_changed(tenant: Tenant) -> None:
    schema = {"type": "object", "properties": {"label": {"type": "string"}}}
    made = (await tenant.data(CREATE, input={"name": "Birds", "description": "of prey", "objectSchema": schema}))[
        "createProject"
    ]
    assert made["errors"] == []
    project = made["project"]
    assert (project["name"], project["description"], project["objectSchema"]) == ("Birds", "of prey", schema)
    assert project["namespace"]["name"] == tenant.name

    changed = (await tenant.data(UPDATE, input={"id": project["id"], "name": "Owls"}))["updateProject"]["project"]
    assert (changed["name"], changed["description"], changed["objectSchema"]) == ("Owls", "of prey", schema)
    assert changed["updatedAt"] > project["updatedAt"]

    emptied = {"id": project["id"], "description": None, "objectSchema": None}
    changed = (await tenant.data(UPDATE, input=emptied))["updateProject"]["project"]
    assert (changed["name"], changed["description"], changed["objectSchema"]) == ("Owls", "", None)

    found = await tenant.data(
        "query($id: ID!) { project(id: $id) { name } node(id: $id) { id ... on Project { name } } }", id=project["id"]
    )
    assert found == {"project": {"name": "Owls"}, "node": {"id": project["id"], "name": "Owls"}}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"name": "   "}, ["name"]),
        ({"name": "x" * 257}, ["name"]),
        ({"name": "nul \x00"}, ["name"]),
        ({"name": "x", "description": "x" * 10_001}, ["description"]),
        ({"name": "x", "objectSchema": [1]}, ["objectSchema"]),
        ({"name": "x", "objectSchema": {"title": "nul \x00"}}, ["objectSchema"]),
        ({"name": "x", "objectSchema": {"properties": {"f": {"type": "strin"}}}},
         ["objectSchema", "properties", "f", "type"]),
        ({"name": "x", "objectSchema": {"$ref": "http://127.0.0.1/schema"}}, ["objectSchema"]),
    ],
)  # fmt: skip
async def test_bad_values_are_typed_errors_with_their_place(
    tenant: Tenant, given: dict[str, Any], path: list[str]
) -> None:
    answer = (await tenant.data(CREATE, input=given))["createProject"]
    assert answer["project"] is None
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [("INVALID", path)]
    assert (await tenant.data("{ projects { totalCount } }"))["projects"]["totalCount"] == 0


async def test_a_lone_surrogate_is_refused_alike_on_both_databases(tenant: Tenant) -> None:
    body = json.dumps({"query": CREATE, "variables": {"input": {"name": "lone \ud800"}}})
    headers = {**tenant.gateway.headers(tenant.key), "Content-Type": "application/json"}
    response = await tenant.gateway.http.post("/graphql", content=body, headers=headers)
    errors = response.json()["data"]["createProject"]["errors"]
    assert [(error["code"], error["path"]) for error in errors] == [("INVALID", ["name"])]


async def test_the_name_cannot_be_removed(tenant: Tenant) -> None:
    project = await tenant.project("kept")
    answer = (await tenant.data(UPDATE, input={"id": project, "name": None}))["updateProject"]
    assert [(error["code"], error["path"]) for error in answer["errors"]] == [("INVALID", ["name"])]
    assert (await tenant.data("query($id: ID!) { project(id: $id) { name } }", id=project))["project"]["name"] == "kept"


async def test_stats_count_what_is_there_and_what_is_missing(tenant: Tenant) -> None:
    project = await tenant.project()
    storage = await tenant.storage(project)
    await tenant.add(
        *tenant.objects(project, storage, ["a.png", "b.png"], modality="IMAGE", size_bytes=10),
        *tenant.objects(project, storage, ["c.txt"], modality="TEXT", size_bytes=None),
        *tenant.objects(project, storage, ["gone.png"], modality="IMAGE", size_bytes=99, status="MISSING"),
    )
    query = (
        "query($id: ID!) { project(id: $id) { stats { objects bytes missing byModality { modality objects bytes } } } }"
    )
    assert (await tenant.data(query, id=project))["project"]["stats"] == {
        "objects": 3,
        "bytes": 20,
        "missing": 1,
        "byModality": [
            {"modality": "IMAGE", "objects": 2, "bytes": 20},
            {"modality": "TEXT", "objects": 1, "bytes": 0},
        ],
    }
    empty = await tenant.project()
    assert (await tenant.data(query, id=empty))["project"]["stats"]["objects"] == 0
