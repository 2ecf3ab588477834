"""Objects of a dataset through the front door."""

from typing import Any

import httpx

from tests.gql.tenants import Tenant
from tests.support.moto_server import MotoServer

OBJECTS = """query($project: ID!, $filter: SyncedObjectFilter, $order: [SyncedObjectOrder!]) {
  project(id: $project) { objects(filter: $filter, orderBy: $order) { totalCount nodes { path } } } }"""
ALL = """id status path row sourceObjectId sizeBytes mimeType modality fingerprint sourceModifiedAt data fields url
  blobs { name type uri url mimeType } firstSyncedAt syncedAt missingSince project { id } storage { id }"""


async def test_a_file_is_one_object_whose_link_works(tenant: Tenant, moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"in/a b+c%.png": b"picture"})
    project = await tenant.project()
    made = await tenant.data(
        """mutation($project: ID!, $s3: S3SettingsInput!) {
          createStorage(input: {projectId: $project, provider: {s3: $s3}, useBlobUrls: true}) { storage { id } } }""",
        project=project,
        s3={"bucket": bucket, "s3Endpoint": moto.endpoint, "awsAccessKeyId": "key", "awsSecretAccessKey": "secret"},
    )
    storage = made["createStorage"]["storage"]["id"]
    await tenant.sync(storage)
    query = f"query($id: ID!) {{ project(id: $id) {{ objects {{ nodes {{ {ALL} }} }} }} }}"
    (found,) = (await tenant.data(query, id=project))["project"]["objects"]["nodes"]

    assert (found["status"], found["path"], found["row"]) == ("SYNCED", "in/a b+c%.png", 0)
    assert (found["sourceObjectId"], found["sizeBytes"]) == ("in/a b+c%.png", 7)
    assert (found["mimeType"], found["modality"], found["data"], found["fields"]) == ("image/png", "IMAGE", None, {})
    assert (found["project"]["id"], found["storage"]["id"], found["missingSince"]) == (project, storage, None)
    (blob,) = found["blobs"]
    assert (blob["name"], blob["type"], blob["mimeType"]) == ("content", "IMAGE", "image/png")
    assert blob["uri"] == f"s3://{bucket}/in/a%20b%2Bc%25.png"
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in (found["url"], blob["url"]):
            assert url.startswith(moto.endpoint)
            assert (await client.get(url)).content == b"picture"

    by_id = f"query($id: ID!) {{ syncedObject(id: $id) {{ {ALL} }} node(id: $id) {{ __typename id }} }}"
    again = await tenant.data(by_id, id=found["id"])
    assert again["node"] == {"__typename": "SyncedObject", "id": found["id"]}
    assert again["syncedObject"] | {"url": "", "blobs": []} == found | {"url": "", "blobs": []}


async def test_without_presign_links_go_through_the_gateway(tenant: Tenant) -> None:
    (tenant.folder / "a.txt").write_text("content")
    project = await tenant.project()
    await tenant.sync(await tenant.storage(project))
    data = await tenant.data("query($id: ID!) { project(id: $id) { objects { nodes { url } } } }", id=project)
    (node,) = data["project"]["objects"]["nodes"]
    assert node["url"].startswith(f"{tenant.gateway.url}/objects/")
    assert (await tenant.gateway.http.get(node["url"])).text == "content"


async def test_links_of_a_page_open_the_storage_once(
    tenant: Tenant, moto: MotoServer, bucket: str, monkeypatch: Any
) -> None:
    from sluicegate.sync.services import SyncServices

    project = await tenant.project()
    settings = {"bucket": bucket, "s3_endpoint": moto.endpoint, "aws_access_key_id": "x", "aws_secret_access_key": "y"}
    (storage,) = await tenant.add(*tenant.storages(project, 1, type="S3", settings=settings))
    await tenant.add(*tenant.objects(project, storage, [f"{index}.png" for index in range(20)]))
    opened: list[Any] = []
    original = SyncServices.open_provider
    monkeypatch.setattr(SyncServices, "open_provider", lambda self, row: opened.append(row) or original(self, row))
    data = await tenant.data(
        "query($id: ID!) { project(id: $id) { objects { nodes { url blobs { url } } } } }", id=project
    )
    urls = {node["url"] for node in data["project"]["objects"]["nodes"]}
    assert (len(urls), len(opened)) == (20, 1)


async def test_a_storage_that_cannot_be_opened_costs_the_links_alone(tenant: Tenant) -> None:
    project = await tenant.project()
    (storage,) = await tenant.add(*tenant.storages(project, 1, type="S3", settings={"bucket": "no-credentials"}))
    await tenant.add(*tenant.objects(project, storage, ["a.png"]))
    query = "query($id: ID!) { project(id: $id) { objects { nodes { path url blobs { uri } } } } }"
    answer = await tenant.graphql(query, id=project)
    (node,) = answer["data"]["project"]["objects"]["nodes"]
    assert node == {"path": "a.png", "url": None, "blobs": [{"uri": "s3://no-credentials/a.png"}]}
    assert answer["errors"][0]["path"] == ["project", "objects", "nodes", 0, "url"]


async def test_objects_are_filtered_and_sorted(tenant: Tenant) -> None:
    project = await tenant.project()
    first, second = await tenant.add(*tenant.storages(project, 2))
    await tenant.add(
        *tenant.objects(project, first, ["b.png"], modality="IMAGE", mime_type="image/png", size_bytes=None),
        *tenant.objects(project, first, ["A.png"], modality="IMAGE", mime_type="image/png", size_bytes=3_000_000_000),
        *tenant.objects(
            project, second, ["a/é.txt"], modality="TEXT", mime_type="text/plain", size_bytes=0, status="MISSING"
        ),
        *tenant.objects(project, second, ["a/z.txt"], modality="TEXT", mime_type="text/plain", size_bytes=5),
    )

    async def paths(**variables: Any) -> list[str]:
        found = (await tenant.data(OBJECTS, project=project, **variables))["project"]["objects"]
        assert found["totalCount"] == len(found["nodes"])
        return [node["path"] for node in found["nodes"]]

    everything = ["b.png", "A.png", "a/é.txt", "a/z.txt"]
    assert await paths() == everything
    assert await paths(order=[{"field": "PATH"}]) == ["A.png", "a/z.txt", "a/é.txt", "b.png"]
    assert await paths(order=[{"field": "SIZE_BYTES"}]) == ["a/é.txt", "a/z.txt", "A.png", "b.png"]
    assert await paths(order=[{"field": "SIZE_BYTES", "direction": "DESC"}]) == ["A.png", "a/z.txt", "a/é.txt", "b.png"]
    filters: list[tuple[dict[str, Any], list[str]]] = [
        ({"storageId": [first]}, ["b.png", "A.png"]),
        ({"storageId": [project, "nonsense"]}, []),
        ({"status": ["MISSING"]}, ["a/é.txt"]),
        ({"modality": ["IMAGE"]}, ["b.png", "A.png"]),
        ({"mimeType": ["text/plain"], "status": ["SYNCED"]}, ["a/z.txt"]),
        ({"path": {"startsWith": "a"}}, ["a/é.txt", "a/z.txt"]),
        ({"path": {"contains": "é"}}, ["a/é.txt"]),
        ({"sizeBytes": {"gte": 3_000_000_000}}, ["A.png"]),
        ({"sizeBytes": {"in": [0, 5]}}, ["a/é.txt", "a/z.txt"]),
        ({"syncedAt": {"lte": "2025-12-31T23:59:59Z"}}, []),
        ({"syncedAt": {"gte": "2026-01-01T00:00:00Z"}}, everything),
        ({"sourceModifiedAt": {"gte": "1970-01-01T00:00:00Z"}}, []),
    ]
    for given, wanted in filters:
        assert await paths(filter=given) == wanted, given


async def test_records_of_a_file_carry_their_data(tenant: Tenant) -> None:
    (tenant.folder / "rows.jsonl").write_text('{"a": 1}\n{"a": null}\n')
    project = await tenant.project()
    made = await tenant.data(
        """mutation($project: ID!) { createStorage(input: {projectId: $project, provider: {local: {path: ""}}}) {
          storage { id useBlobUrls } } }""",
        project=project,
    )
    await tenant.sync(made["createStorage"]["storage"]["id"])
    query = "query($id: ID!) { project(id: $id) { objects { nodes { path row data } } } }"
    assert (await tenant.data(query, id=project))["project"]["objects"]["nodes"] == [
        {"path": "rows.jsonl", "row": 0, "data": {"a": 1}},
        {"path": "rows.jsonl", "row": 1, "data": {"a": None}},
    ]
