"""Keys of every sort: each is an object, and its link gives its bytes."""

import json
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bad_input.user import User, counts, s3
from tests.providers.s3_sources import Bucket
from tests.support.s3_responder import S3Responder
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY

KEYS = [
    "../up.png", "a/../../etc/passwd", "a/./b.png", "dots...png", "slashes//in//it.png", "/leading.png", "folder/x.png",
    "new\nline.png", "car\rriage.png", "emoji-\U0001f600/\U0001f469\u200d\U0001f680.png", "pct%2Fslash.png",
    "pct%25.png", "plus+one two.png", "q?x=1&y#z.png", "\u00e9.png", "e\u0301.png", "\u202egnp.exe", "semi;colon=.png",
    '<svg onload="alert(1)">.png', "back\\slash.png", " leading and trailing ", "-rf", "CON", "~",
]  # fmt: skip
LONG = "/".join(["k" * 204, "\u00e9" * 102, "m" * 204, "\U0001f600" * 51, "n" * 204])
"""1,024 bytes in UTF-8, the most that S3 takes, in parts that a server of files can name."""


def body_of(key: str) -> bytes:
    """Each object has another content."""
    return b"content of " + key.encode()


@pytest.mark.parametrize("presign", [True, False])
async def test_each_key_is_one_object_whose_link_gives_its_bytes(user: User, owned: Bucket, presign: bool) -> None:
    # This server is one of files: it takes no `..`, `//` or backslash in keys. The test below is about these.
    keys = [*(key for key in KEYS if is_plain(key) and "\\" not in key), LONG]
    for key in keys:
        await owned.put(key.encode(), body_of(key))
    await opened_and_right(
        user, s3(owned.endpoint, owned.bucket, secret=SECRET_KEY, awsAccessKeyId=ACCESS_KEY), keys, presign
    )


@pytest.mark.parametrize("presign", [True, False])
async def test_keys_that_look_like_ways_through_folders(user: User, server: S3Responder, presign: bool) -> None:
    keys = [*KEYS, "folder/", "empty-name//", LONG]
    assert len(LONG.encode()) == 1_024
    for key in keys:
        server.store.put(key.encode(), body_of(key))
    await opened_and_right(user, s3(server.endpoint, server.bucket), keys, presign)


async def opened_and_right(user: User, provider: dict[str, object], keys: list[str], presign: bool) -> None:
    """Syncs twice, and opens every link as a browser does."""
    project = await user.project()
    storage = await user.storage(provider, projectId=project, useBlobUrls=True, presign=presign)
    state = await user.sync(storage)
    assert (state["status"], counts(state)) == ("COMPLETED", {"synced": len(keys)})
    found = await user.objects(project)
    assert sorted(each["path"] for each in found) == sorted(keys)
    assert all(each["sourceObjectId"] == each["path"] for each in found)
    async with httpx.AsyncClient(trust_env=False) as browser:
        for each in found:
            response = await browser.get(each["url"])
            assert (response.status_code, response.content) == (200, body_of(each["path"])), each["path"]
            at_gateway = urlsplit(each["url"]).netloc == urlsplit(user.gateway.url).netloc
            # A browser would take `..` out of an address before it asks, so those go through the gateway.
            assert at_gateway == (not presign or not is_plain(each["path"], but_slashes=True)), each["path"]
    assert counts(await user.sync(storage)) == {"unchanged": len(keys)}


def is_plain(key: str, *, but_slashes: bool = False) -> bool:
    """Whether no part of it means another folder; with `but_slashes`, it may have empty parts."""
    return not any(part in (".", "..") or (not part and not but_slashes) for part in key.split("/"))


async def test_an_object_that_stands_for_a_folder_is_none(user: User, server: S3Responder) -> None:
    server.store.put(b"folder/", b"")
    server.store.put(b"folder/a.json", b'{"a": 1}')
    server.store.put(b"folder/sub.json/", b"")
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project)
    assert counts(await user.sync(storage)) == {"synced": 1, "filtered": 2}
    assert [each["data"] for each in await user.objects(project)] == [{"a": 1}]


async def test_records_of_files_with_odd_names(user: User, server: S3Responder) -> None:
    names = [f"{key}.json" for key in KEYS]
    for name in names:
        server.store.put(name.encode(), json.dumps({"name": name}).encode())
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project)
    assert counts(await user.sync(storage)) == {"synced": len(names)}
    found = await user.objects(project)
    assert all(each["data"] == {"name": each["path"]} for each in found)
    async with httpx.AsyncClient(trust_env=False) as browser:
        for each in found:
            assert (await browser.get(each["url"])).json() == each["data"], each["path"]
