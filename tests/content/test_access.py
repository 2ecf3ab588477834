import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.fernet import Fernet

from models.database import ALL
from models.storages import Storage
from resolvers.access import revoke_key
from resolvers.content import object_uris, object_url, object_urls
from resolvers.content_links import MAX_SECONDS, ContentLink, digest_of, sign, verify
from sluicegate.core.crypto import SecretBox
from sluicegate.core.errors import FatalError
from sluicegate.core.ids import encode_id
from tests.content.files import Files, archive
from tests.support.moto_server import ACCESS_KEY, SECRET_KEY, MotoServer


async def test_a_link_alone_gives_the_bytes(files: Files) -> None:
    row = await files.put("a/picture.png", b"\x89PNG...", mime_type="image/png")
    response = await files.gateway.http.get(files.link(row))
    assert (response.status_code, response.content) == (200, b"\x89PNG...")
    assert response.headers["content-type"] == "image/png"


async def test_every_changed_character_of_a_link_is_refused_without_saying_why(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    link = files.link(row)
    base, text = link.split("?link=")
    bodies: set[str] = set()
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        response = await files.gateway.http.get(f"{base}?link={changed}", headers={"X-Request-ID": "the-same-id"})
        assert response.status_code == 403
        bodies.add(response.text)
    for changed in ("", text[:-1], text + "A", text.replace(text[5], "%00"), "é" * 92):
        response = await files.gateway.http.get(f"{base}?link={changed}", headers={"X-Request-ID": "the-same-id"})
        assert response.status_code == 403
        bodies.add(response.text)
    assert len(bodies) == 1
    assert "FORBIDDEN" in bodies.pop()


async def test_a_link_is_for_its_object_alone(files: Files) -> None:
    one, two = await files.put("1.txt", b"1"), await files.put("2.txt", b"2")
    text = files.link(one).split("?link=")[1]
    assert (await files.gateway.http.get(f"{files.path(two)}?link={text}")).status_code == 403


async def test_an_expired_link_is_refused_as_a_forged_one(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    link = ContentLink(row.namespace_id, files.viewer.key_id, 1_700_000_000, digest_of(row.fingerprint))
    text = sign(files.gateway.services.secrets, row.id, link)
    expired = await files.gateway.http.get(f"{files.path(row)}?link={text}", headers={"X-Request-ID": "the-same-id"})
    forged = await files.gateway.http.get(f"{files.path(row)}?link=x", headers={"X-Request-ID": "the-same-id"})
    assert expired.status_code == forged.status_code == 403
    assert expired.text == forged.text


async def test_revoking_the_key_kills_its_links_and_no_others(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    second, _ = await files.key()
    link, other = files.link(row, viewer=second), files.link(row)
    assert (await files.gateway.http.get(link)).status_code == 200
    await revoke_key(files.gateway.services, files.viewer, second.key_id)
    assert (await files.gateway.http.get(link)).status_code == 403
    assert (await files.gateway.http.get(other)).status_code == 200


async def test_a_key_reads_with_its_header(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    _, secret = await files.key()
    get = files.gateway.http.get
    assert (await get(files.path(row), headers={"Authorization": f"Bearer {secret}"})).content == b"text"
    for authorization in ({}, {"Authorization": "Bearer sg_wrong"}):
        response = await get(files.path(row), headers=authorization)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"


async def test_another_tenant_sees_what_it_sees_of_nothing(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    other = await files.other_namespace()
    foreign, secret = await files.key(namespaces=[other.id])
    headers = {"Authorization": f"Bearer {secret}", "X-Request-ID": "the-same-id"}
    answers = [
        await files.gateway.http.get(f"/objects/{object_id}/content", headers=headers)
        for object_id in (encode_id("SyncedObject", row.id), encode_id("SyncedObject", 10**9))
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text == answers[1].text
    # A key of the other namespace cannot make a link that works here: the key does not open the object's namespace.
    link = ContentLink(row.namespace_id, foreign.key_id, 2**40, digest_of(row.fingerprint))
    forged = sign(files.gateway.services.secrets, row.id, link)
    assert (await files.gateway.http.get(f"{files.path(row)}?link={forged}")).status_code == 403
    elsewhere = ContentLink(other.id, foreign.key_id, 2**40, digest_of(row.fingerprint))
    text = sign(files.gateway.services.secrets, row.id, elsewhere)
    assert (await files.gateway.http.get(f"{files.path(row)}?link={text}")).status_code == 404


@pytest.mark.parametrize("object_id", ["x", encode_id("Job", 1), encode_id("SyncedObject", 2**63 - 1), "%2e%2e"])
async def test_what_is_no_object_is_not_found(files: Files, object_id: str) -> None:
    response = await files.gateway.http.get(
        f"/objects/{object_id}/content", headers=files.gateway.headers(namespace="default")
    )
    assert response.status_code == 404


async def test_the_objects_of_an_archived_storage_cannot_be_read(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    link = files.link(row)
    await archive(files)
    assert (await files.gateway.http.get(link)).status_code == 404
    async with files.gateway.services.database.read(ALL) as session:
        storage = await session.get(Storage, files.storage.id)
    assert storage is not None
    assert await object_url(files.gateway.services, files.viewer, row, storage, "http://x") is None


def test_links_survive_a_rotation_of_the_secret_key() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    link = ContentLink(1, 2, 1_000, digest_of("f"))
    text = sign(SecretBox([old]), 7, link)
    assert verify(SecretBox([new, old]), 7, text, now_seconds=999) == link
    assert verify(SecretBox([new]), 7, text, now_seconds=999) is None
    assert verify(SecretBox([new, old]), 8, text, now_seconds=999) is None
    assert verify(SecretBox([new, old]), 7, text, now_seconds=1_000) is None
    raw = urlsafe_b64decode(text)
    assert verify(SecretBox([old]), 7, urlsafe_b64encode(b"\x02" + raw[1:]).decode(), now_seconds=999) is None


async def test_no_link_lives_longer_than_a_week(files: Files) -> None:
    row = await files.put("a.txt", b"text")
    files.storage.presign_ttl = 32_767
    response = await files.gateway.http.get(files.link(row))
    seconds = int(response.headers["cache-control"].partition("max-age=")[2])
    assert MAX_SECONDS - 60 < seconds <= MAX_SECONDS


async def test_a_storage_that_presigns_gives_the_providers_own_links(files: Files, moto: MotoServer) -> None:
    services = files.gateway.services
    async with services.database.write(files.viewer.namespace.id) as session:
        settings = {"bucket": "some-bucket", "prefix": "", "region_name": "us-east-1", "s3_endpoint": moto.endpoint}
        storage = Storage(
            project_id=files.storage.project_id, type="S3", settings=settings, presign=True, presign_ttl=1
        )
        session.add(storage)
        await session.flush()
        storage.sealed_secrets = services.secrets.seal(
            {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY},
            table="storage", row=storage.id, namespace=storage.namespace_id,
        )  # fmt: skip
    s3 = await files.catalogue("key.png", "etag-3", storage_id=storage.id)
    local = await files.put("a.txt", b"text")
    urls = await object_urls(
        services, files.viewer, [(s3, storage), (local, files.storage), (s3, storage)], "https://gateway.example/"
    )
    assert urls[0] == urls[2]
    assert str(urls[0]).startswith(f"{moto.endpoint}/some-bucket/key.png?")
    assert "X-Amz-Expires=60" in str(urls[0])
    assert str(urls[1]).startswith("https://gateway.example/objects/")
    assert await object_uris(services, [(s3, storage), (local, files.storage)]) == [
        "s3://some-bucket/key.png",
        f"local:///{files.root.name}/a.txt",
    ]
    storage.presign = False
    url = await object_url(services, files.viewer, s3, storage, "https://gateway.example")
    assert str(url).startswith("https://gateway.example/objects/")


async def test_one_storage_that_cannot_be_opened_leaves_the_links_of_others(files: Files) -> None:
    services = files.gateway.services
    broken = Storage(
        id=99, namespace_id=1, project_id=1, type="S3", settings={"bucket": ""}, presign=True, presign_ttl=1
    )
    broken.sealed_secrets = "not sealed by this key"
    local = await files.put("a.txt", b"text")
    row = await files.catalogue("key", "etag-3")
    urls = await object_urls(services, files.viewer, [(row, broken), (local, files.storage)], "http://x")
    assert isinstance(urls[0], FatalError)
    assert str(urls[1]).startswith("http://x/objects/")
    with pytest.raises(FatalError):
        await object_url(services, files.viewer, row, broken, "http://x")


async def test_links_work_with_many_at_once(files: Files) -> None:
    rows = [await files.put(f"{number}.bin", bytes([number]) * 10_000) for number in range(20)]
    answers = await asyncio.gather(*(files.gateway.http.get(files.link(row)) for row in rows))
    assert [answer.content for answer in answers] == [bytes([number]) * 10_000 for number in range(20)]
