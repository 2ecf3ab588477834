"""Content of S3 storages with `presign: false`: the bytes come through the gateway."""

import asyncio
from hashlib import md5

import pytest

from models.objects import SyncedObject
from models.storages import Storage
from tests.content.files import Files
from tests.support.moto_server import ACCESS_KEY, SECRET_KEY, MotoServer

BODY = bytes(range(256)) * 8_000


@pytest.fixture
async def bucketed(files: Files, moto: MotoServer, bucket: str) -> Files:
    """The storage is a bucket rather than a folder."""
    settings = {"bucket": bucket, "region_name": "us-east-1", "s3_endpoint": moto.endpoint}
    services = files.gateway.services
    async with services.database.write(files.viewer.namespace.id) as session:
        storage = Storage(
            project_id=files.storage.project_id, type="S3", settings=settings, presign=False, presign_ttl=1
        )
        session.add(storage)
        await session.flush()
        storage.sealed_secrets = services.secrets.seal(
            {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY},
            table="storage", row=storage.id, namespace=storage.namespace_id,
        )  # fmt: skip
    files.storage = storage
    return files


async def put(files: Files, moto: MotoServer, bucket: str, name: str, body: bytes) -> SyncedObject:
    moto.put(bucket, {name: body})
    tag = md5(body, usedforsecurity=False).hexdigest()
    return await files.catalogue(name, f"{tag}-{len(body)}", size_bytes=len(body), mime_type="image/png")


@pytest.mark.parametrize("name", ["a.png", "../b//c d+%2F&?#.png", "😀.png"])
async def test_the_bytes_come_through_the_gateway(bucketed: Files, moto: MotoServer, bucket: str, name: str) -> None:
    row = await put(bucketed, moto, bucket, name, BODY)
    whole = await bucketed.gateway.http.get(bucketed.link(row))
    assert (whole.status_code, whole.content) == (200, BODY)
    assert whole.headers["content-length"] == str(len(BODY))
    part = await bucketed.gateway.http.get(bucketed.link(row), headers={"Range": "bytes=1000000-1000009"})
    assert (part.status_code, part.content) == (206, BODY[1_000_000:1_000_010])
    assert part.headers["etag"] == whole.headers["etag"]
    head = await bucketed.gateway.http.head(bucketed.link(row))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(BODY)))


async def test_a_changed_and_a_deleted_object_are_told_apart(bucketed: Files, moto: MotoServer, bucket: str) -> None:
    row = await put(bucketed, moto, bucket, "a.png", BODY)
    moto.put(bucket, {"a.png": b"other"})
    assert (await bucketed.gateway.http.get(bucketed.link(row))).status_code == 412
    moto.delete(bucket, "a.png")
    assert (await bucketed.gateway.http.get(bucketed.link(row))).status_code == 404


async def test_an_empty_object_is_sent(bucketed: Files, moto: MotoServer, bucket: str) -> None:
    row = await put(bucketed, moto, bucket, "empty.png", b"")
    response = await bucketed.gateway.http.get(bucketed.link(row), headers={"Range": "bytes=-5"})
    assert (response.status_code, response.content) == (200, b"")


async def test_a_bucket_that_is_gone_is_the_sources_fault_without_its_name(bucketed: Files) -> None:
    async with bucketed.gateway.services.database.write(bucketed.viewer.namespace.id) as session:
        storage = await session.merge(bucketed.storage)
        storage.settings = {**storage.settings, "bucket": "no-such-bucket-here"}
    row = await bucketed.catalogue("a.png", "tag-1", size_bytes=1)
    response = await bucketed.gateway.http.get(bucketed.link(row))
    assert response.status_code in (404, 502)
    assert "no-such-bucket" not in response.text


async def test_a_server_that_does_not_answer_is_worth_another_try(bucketed: Files) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.transport.abort(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with bucketed.gateway.services.database.write(bucketed.viewer.namespace.id) as session:
        storage = await session.merge(bucketed.storage)
        storage.settings = {**storage.settings, "s3_endpoint": f"http://127.0.0.1:{port}"}
    row = await bucketed.catalogue("a.png", "tag-1", size_bytes=1)
    response = await bucketed.gateway.http.get(bucketed.link(row))
    listener.close()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["errors"][0]["extensions"]["code"] == "PROVIDER_UNAVAILABLE"
