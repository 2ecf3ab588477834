"""What S3 tells of one object besides its bytes, and how its refusals without a body are told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, SkippableError, ThrottledError
from sluicegate.providers.base import Entry
from sluicegate.providers.s3.pages import content_hash
from tests.providers.conformance import entries_of
from tests.providers.s3_sources import Bucket
from tests.support import moto_server
from tests.support.moto_server import MotoServer
from tests.support.s3_responder import Drop, Fault, Reply, Request, S3Responder, error
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer

SECRET = "secret-of-a-test"
META = {"x-amz-meta-camera": "No 7", "x-amz-meta-site": "north", "content-type": "image/x-raw"}


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        yield responder


@pytest.fixture
async def source(server: S3Responder) -> AsyncIterator[Bucket]:
    async with Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", SECRET) as bucket:
        yield bucket


@pytest.fixture(params=["moto", "seaweed"])
async def real(request: pytest.FixtureRequest) -> AsyncIterator[Bucket]:
    name = f"bucket-{uuid4().hex}"
    if request.param == "moto":
        moto: MotoServer = request.getfixturevalue("moto")
        values = (moto.endpoint, moto.create_bucket(name), moto_server.ACCESS_KEY, moto_server.SECRET_KEY)
    else:
        seaweed: SeaweedServer = request.getfixturevalue("seaweed")
        values = (seaweed.endpoint, name, ACCESS_KEY, SECRET_KEY)
    async with Bucket(*values) as bucket:
        if request.param == "seaweed":
            await bucket.create()
        yield bucket


async def test_metadata_and_tags_of_real_servers(real: Bucket) -> None:
    await real.request("PUT", b"a b+c", b"body", {**META, "x-amz-tagging": "split=train&note=a%2Bb%20c"})
    await real.put(b"plain", b"body")
    async with real.open() as provider:
        found = await provider.stat(b"a b+c")
        assert found is not None
        assert found.metadata == {"camera": "No 7", "site": "north", "content-type": "image/x-raw"}
        assert await provider.tags(b"a b+c") == {"split": "train", "note": "a+b c"}
        assert await provider.tags(b"plain") == {}
        with pytest.raises(SkippableError) as caught:
            await provider.tags(b"gone")
    assert caught.value.code is ErrorCode.PROVIDER_NOT_FOUND


async def test_no_object_is_gone_because_its_bucket_is(real: Bucket) -> None:
    """Both are a 404 without a body: the one is a deletion, the other must not delete anything."""
    await real.put(b"a", b"1")
    async with real.open(bucket=f"no-{uuid4().hex}") as provider:
        for asked in (provider.stat(b"a"), provider.tags(b"a")):
            with pytest.raises(FatalError) as caught:
                await asked
            assert (caught.value.code, caught.value.provider_code) == (ErrorCode.PROVIDER_NOT_FOUND, "NoSuchBucket")


async def test_an_object_behind_a_delete_marker_is_gone(real: Bucket) -> None:
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    await real.request("PUT", None, versioning, query={"versioning": ""})
    await real.put(b"a", b"1")
    async with real.open() as provider:
        assert await provider.stat(b"a") is not None
        await real.delete(b"a")
        assert await provider.stat(b"a") is None
        assert await entries_of(provider) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aws_secret_access_key": "not-the-secret"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "AKIDNOBODY"}, "InvalidAccessKeyId"),
    ],
)
async def test_wrong_keys_end_a_run_and_skip_no_object(
    seaweed: SeaweedServer, changes: dict[str, str], code: str
) -> None:
    async with Bucket(seaweed.endpoint, f"bucket-{uuid4().hex}", ACCESS_KEY, SECRET_KEY) as bucket:
        await bucket.create()
        await bucket.put(b"a", b"1")
        async with bucket.open(**changes) as provider:
            for asked in (provider.stat(b"a"), provider.tags(b"a")):
                with pytest.raises(FatalError) as caught:
                    await asked
                assert (caught.value.code, caught.value.provider_code) == (ErrorCode.PROVIDER_AUTH, code)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("plain text", "plain text"),
        ("=?UTF-8?B?SMO2aGU=?=", "H\u00f6he"),
        ("=?utf-8?q?H=C3=B6he_=31?=", "H\u00f6he 1"),
        ("=?UTF-8?Q?=E2=82=AC?= =?UTF-8?Q?uro?=", "\u20acuro"),
        ("=?ISO-8859-1?Q?=E9t=E9?=", "\u00e9t\u00e9"),
        ("=?no-such-charset?Q?x?=", "=?no-such-charset?Q?x?="),
        ("=?UTF-8?Q?=FF?=", "=?UTF-8?Q?=FF?="),
        ("is it =? who knows", "is it =? who knows"),
        ("raw H\u00c3\u00b6he", "raw H\u00f6he"),  # UTF-8, as the responder writes it: a byte a character
        ("raw \u00e9", "raw \u00e9"),  # Latin-1
        ("", ""),
    ],
)
async def test_metadata_that_is_not_ascii(server: S3Responder, source: Bucket, sent: str, expected: str) -> None:
    server.store.put(b"a", b"1").headers = {"X-Amz-Meta-Title": sent}
    async with source.open() as provider:
        found = await provider.stat(b"a")
    assert found is not None
    assert found.metadata == {"title": expected, "content-type": "application/json"}
    found.metadata["title"].encode()  # no lone surrogate, which no database holds


async def test_the_owners_own_content_type_wins(server: S3Responder, source: Bucket) -> None:
    server.store.put(b"a", b"1").headers = {"x-amz-meta-content-type": "mine"}
    async with source.open() as provider:
        found = await provider.stat(b"a")
    assert found is not None
    assert found.metadata == {"content-type": "mine"}


async def test_a_server_without_etags_is_listed_for_the_fingerprint(server: S3Responder, source: Bucket) -> None:
    """Its fingerprint holds the time to the millisecond, of which HEAD has the second."""
    await source.put(b"a", b"1")
    await source.put(b"a-b", b"2")

    def answer(request: Request) -> Reply:
        reply = original(request)
        assert isinstance(reply, Reply)
        reply.headers.pop("ETag", None)
        tags = [f"<ETag>&quot;{server.store.get(key).etag}&quot;</ETag>".encode() for key in (b"a", b"a-b")]  # pyright: ignore[reportOptionalMemberAccess]
        for tag in tags:
            reply.body = reply.body.replace(tag, b"")
        return reply

    original, server.answer = server.answer, answer
    async with source.open() as provider:
        listed = await entries_of(provider)
        found = await provider.stat(b"a")
        assert found is not None
        assert found.entry == listed[0]
        assert found.entry.fingerprint.startswith("@")
        assert provider.content_hash(found.entry) is None
        server.faults.append(Reply())  # it goes between HEAD and the listing
        assert await provider.stat(b"a-") is None


async def test_a_key_outside_the_storage_is_none_of_its_objects(server: S3Responder, source: Bucket) -> None:
    await source.put(b"other/a", b"1")
    server.requests.clear()
    async with source.open(prefix="mine/") as provider:
        assert await provider.stat(b"other/a") is None
    assert not server.requests


def bodiless(status: int, code: str, **headers: str) -> Fault:
    """An error as S3 answers it: to HEAD without a body, to anything else with one."""
    return lambda request: Reply(status, b"", headers) if request.method == "HEAD" else error(status, code)


Case = tuple[Fault, type[RunError], ErrorCode, str]
REFUSALS: list[Case] = [
    (bodiless(403, "AccessDenied"), SkippableError, ErrorCode.PROVIDER_AUTH, "AccessDenied"),
    (bodiless(403, "InvalidAccessKeyId"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidAccessKeyId"),
    (bodiless(400, "ExpiredToken"), FatalError, ErrorCode.PROVIDER_AUTH, "ExpiredToken"),
    (bodiless(403, "RequestTimeTooSkewed"), FatalError, ErrorCode.PROVIDER_AUTH, "RequestTimeTooSkewed"),
    (bodiless(404, "NoSuchBucket"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "NoSuchBucket"),
    (bodiless(400, "KMS.DisabledException"), SkippableError, ErrorCode.PROVIDER_AUTH, "KMS.DisabledException"),
    (bodiless(503, "SlowDown"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "503"),
    (bodiless(429, "TooManyRequests"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "429"),
    (bodiless(500, "InternalError"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "500"),
    (Reply(404, b"<html>a proxy"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "404"),
    (Drop(), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "CONNECTION_RESET"),
]


@pytest.mark.parametrize(("fault", "kind", "code", "provider_code"), REFUSALS)
async def test_a_refusal_without_a_body_is_told_from_the_others(
    server: S3Responder, source: Bucket, fault: Fault, kind: type[RunError], code: ErrorCode, provider_code: str
) -> None:
    server.always = fault
    async with source.open() as provider:
        with pytest.raises(RunError) as caught:
            await provider.stat(b"a")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.provider_code) == (code, provider_code)
    assert SECRET not in f"{caught.value!r} {caught.value.hint}"


async def test_the_wait_that_a_throttled_head_asks_for_is_kept(server: S3Responder, source: Bucket) -> None:
    server.always = Reply(503, b"", {"Retry-After": "9"})
    async with source.open() as provider:
        with pytest.raises(ThrottledError) as caught:
            await provider.stat(b"a")
    assert caught.value.retry_after == 9


@pytest.mark.parametrize("body", [b"1", b""])
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [(404, RetriableError, "CHANGED"), (403, SkippableError, "403"), (405, SkippableError, "405")],
)
async def test_an_object_that_the_second_look_finds_is_not_gone(
    server: S3Responder, source: Bucket, body: bytes, status: int, kind: type[RunError], code: str
) -> None:
    await source.put(b"a", body)
    server.faults.append(Reply(status))
    async with source.open() as provider:
        with pytest.raises(kind) as caught:
            await provider.stat(b"a")
        assert caught.value.provider_code == code
        assert await provider.stat(b"a") is not None


TAGS: list[Case] = [
    (error(403, "AccessDenied"), SkippableError, ErrorCode.PROVIDER_AUTH, "AccessDenied"),
    (error(404, "NoSuchKey"), SkippableError, ErrorCode.PROVIDER_NOT_FOUND, "NoSuchKey"),
    (error(501, "NotImplemented"), FatalError, ErrorCode.PROVIDER_REFUSED, "NotImplemented"),
    (Reply(501), FatalError, ErrorCode.PROVIDER_REFUSED, "501"),
    (error(503, "SlowDown"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "SlowDown"),
    (error(403, "InvalidAccessKeyId"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidAccessKeyId"),
    (Reply(200, b"{}"), SkippableError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_TAGS"),
    (Reply(200, b"<!DOCTYPE x><Tagging/>"), SkippableError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_TAGS"),
    (Reply(200, b"<ListBucketResult/>"), SkippableError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_TAGS"),
    (Reply(200, b"<Tagging>" + b" " * 100_000), FatalError, ErrorCode.PROVIDER_REFUSED, "ANSWER_TOO_LONG"),
]


@pytest.mark.parametrize(("fault", "kind", "code", "provider_code"), TAGS)
async def test_each_refusal_of_tags_has_its_error(
    server: S3Responder, source: Bucket, fault: Fault, kind: type[RunError], code: ErrorCode, provider_code: str
) -> None:
    server.always = fault
    async with source.open() as provider:
        with pytest.raises(RunError) as caught:
            await provider.tags(b"a")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.provider_code) == (code, provider_code)
    if provider_code == "AccessDenied":
        assert "s3:GetObjectTagging" in (caught.value.hint or "")


async def test_no_tags_where_the_server_says_so_with_an_error(server: S3Responder, source: Bucket) -> None:
    server.faults.append(error(404, "NoSuchTagSet"))
    async with source.open() as provider:
        assert await provider.tags(b"a") == {}


@pytest.mark.parametrize(
    ("fingerprint", "size", "expected"),
    [
        ("9E107D9D372BB6826BD81D3542A419D6-43", 43, "md5:9e107d9d372bb6826bd81d3542a419d6:43"),
        ("9e107d9d372bb6826bd81d3542a419d6-2-43", 43, "etag:9e107d9d372bb6826bd81d3542a419d6-2:43"),
        ("no-md5-43", 43, "etag:no-md5:43"),
        ("@1760000000000000-43", 43, None),
        ("9e107d9d372bb6826bd81d3542a419d6-", None, None),
    ],
)
def test_a_content_hash_is_an_md5_where_the_etag_is_one(
    fingerprint: str, size: int | None, expected: str | None
) -> None:
    assert content_hash(Entry(b"a", size, None, fingerprint)) == expected
