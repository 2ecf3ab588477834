"""S3 against real servers: moto, SeaweedFS (which checks signatures) and our own responder (which takes every key)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from sluicegate.core.errors import ErrorCode, FatalError
from sluicegate.core.net import Connector
from sluicegate.providers.base import CheckStatus
from tests.providers.conformance import (
    NO_PREFIXES,
    ODD_KEYS,
    SPACED_KEYS,
    ProviderConformance,
    body_of,
    checks_of,
    entries_of,
)
from tests.providers.s3_sources import Bucket
from tests.support import moto_server
from tests.support.moto_server import MotoServer
from tests.support.s3_responder import S3Responder
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer

# What no file could be called, and every one of these is an S3 key.
S3_KEYS = [
    b"../up", b"a/../b", b"./here", b"x/./y", b"a//b", b"//lead", b"/lead", b"folder/", b"folder/file", b"folder", b".",
    b"..", b"/", b"back\\slash", b"\x01control", b"\x7f", b"k" * 1024, b"d/" * 511 + b"xy",
]  # fmt: skip
# What sorts differently by folder and by key, and folders that are files too.
FOLDER_KEYS = [
    b"b", b"b.c", b"b0", b"b/d", b"b/d-e", b"b/d.e/f", b"b-c/x", b"b-c/x-y", b"c/x", b"c-x", b"n/o/p/q/r",
    b"n/o/p/q-r", b"n/o/p.q", b"n/o-p", b"n-o", b"n", "\u00e9/x".encode(), "\u00e9-x".encode(),
    "\U00010000/x".encode(), "\uffee/y".encode(),
]  # fmt: skip


class S3Conformance(ProviderConformance):
    """What S3 can besides."""

    async def test_a_prefix_is_the_start_of_a_key_and_not_a_folder(self, source: Bucket) -> None:
        for key in (b"data", b"data-1", b"data/1", b"database", b"dat", b"e", b"DATA"):
            await source.put(key, b"1")
        for prefix, expected in [
            ("data", [b"data", b"data-1", b"data/1", b"database"]), ("data/", [b"data/1"]), ("data-", [b"data-1"]),
            ("nothing", []), ("", [b"DATA", b"dat", b"data", b"data-1", b"data/1", b"database", b"e"]),
        ]:  # fmt: skip
            async with source.open(prefix=prefix) as provider:
                assert [entry.key for entry in await entries_of(provider)] == expected
        async with source.open(prefix="data") as provider:
            assert [e.key for e in await entries_of(provider, recursive=False)] == [b"data", b"data-1", b"database"]

    async def test_a_link_works_without_credentials(self, source: Bucket) -> None:
        keys = [key for key in self.keys if not {b".", b".."} & set(key.split(b"/"))]
        for key in keys:
            await source.put(key, b"body of " + key)
        async with source.open() as provider, Connector("127.0.0.1") as connector:
            for key in keys:
                link = await provider.temporary_url(key, seconds=60)
                assert link is not None
                assert not any(secret in link for secret in source.secrets)
                async with connector.request("GET", URL(link, encoded=True)) as response:
                    assert (response.status, await response.read()) == (200, b"body of " + key)

    async def test_the_wrong_bucket(self, source: Bucket) -> None:
        async with source.open(bucket=f"no-{uuid4().hex}") as provider:
            with pytest.raises(FatalError) as caught:
                await entries_of(provider)
            checks = await checks_of(provider)
        assert (caught.value.code, caught.value.provider_code) == (ErrorCode.PROVIDER_NOT_FOUND, "NoSuchBucket")
        assert checks["list"].status is CheckStatus.FAILED
        assert checks["list"].provider_code == "NoSuchBucket"
        assert checks["read"].status is CheckStatus.SKIPPED

    async def test_a_probe_is_written_and_removed(self, source: Bucket) -> None:
        await source.put(b"a", b"1")
        async with source.open() as provider:
            assert (await checks_of(provider, write=True))["write"].status is CheckStatus.PASSED
            assert [entry.key for entry in await entries_of(provider)] == [b"a"]


class TestOnMoto(S3Conformance):
    """moto answers 404 to every key with a newline; the two other servers prove those."""

    keys = tuple(key for key in (*ODD_KEYS, *SPACED_KEYS, *S3_KEYS) if b"\n" not in key)

    @pytest.fixture
    async def source(self, moto: MotoServer) -> AsyncIterator[Bucket]:
        async with Bucket(
            moto.endpoint, moto.create_bucket(), moto_server.ACCESS_KEY, moto_server.SECRET_KEY
        ) as bucket:
            yield bucket


class TestOnResponder(S3Conformance):
    keys = (*ODD_KEYS, *SPACED_KEYS, *S3_KEYS, b"latin-\xe9")

    @pytest.fixture
    async def source(self) -> AsyncIterator[Bucket]:
        async with (
            S3Responder() as server,
            Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", "secret-of-a-test") as bucket,
        ):
            yield bucket


class TestOnSeaweed(S3Conformance):
    """SeaweedFS collapses `//`, refuses `..` and names over 255 bytes, and sorts by folder: `b/c` before `b-c`."""

    keys = (*ODD_KEYS, *SPACED_KEYS, *FOLDER_KEYS, b"\x01control")
    prefixes_of_nothing = tuple(prefix for prefix in NO_PREFIXES if b"//" not in prefix)

    @pytest.fixture
    async def source(self, seaweed: SeaweedServer) -> AsyncIterator[Bucket]:
        async with Bucket(seaweed.endpoint, f"bucket-{uuid4().hex}", ACCESS_KEY, SECRET_KEY) as bucket:
            await bucket.create()
            yield bucket

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"aws_secret_access_key": "not-the-secret"}, "SignatureDoesNotMatch"),
            ({"aws_access_key_id": "AKIDNOBODY"}, "InvalidAccessKeyId"),
        ],
    )
    async def test_wrong_keys(self, source: Bucket, changes: dict[str, str], code: str) -> None:
        await source.put(b"a", b"1")
        async with source.open(**changes) as provider:
            with pytest.raises(FatalError) as listed:
                await entries_of(provider)
            with pytest.raises(FatalError) as read:
                await body_of(provider, b"a")
            checks = await checks_of(provider)
        for caught in (listed, read):
            assert (caught.value.code, caught.value.provider_code) == (ErrorCode.PROVIDER_AUTH, code)
            assert caught.value.hint
        assert checks["connect"].status is CheckStatus.PASSED
        assert checks["authenticate"].status is CheckStatus.FAILED
        assert checks["list"].status is CheckStatus.SKIPPED
        shown = f"{listed.value!r}{listed.value.hint}{checks}"
        assert not any(secret in shown for secret in (*source.secrets, *changes.values()))

    async def test_a_changed_link_is_refused(self, source: Bucket) -> None:
        await source.put(b"mine", b"1")
        await source.put(b"other", b"2")
        async with source.open() as provider, aiohttp.ClientSession() as session:
            link = await provider.temporary_url(b"mine", seconds=60)
            assert link is not None
            async with session.get(URL(link.replace("/mine?", "/other?"), encoded=True)) as response:
                assert response.status == 403

    async def test_more_keys_than_a_page(self, source: Bucket) -> None:
        keys = [b"%05d" % number for number in range(1500)]
        for start in range(0, 1500, 50):
            await asyncio.gather(*(source.put(key, b"") for key in keys[start : start + 50]))
        async with source.open() as provider:
            async with aclosing(provider.list()) as pages:
                found = [page async for page in pages]
            assert [len(page.entries) for page in found] == [1000, 500]
            assert [entry.key for page in found for entry in page.entries] == keys
            assert [e.key for e in await entries_of(provider, cursor=found[0].cursor)] == keys[1000:]
