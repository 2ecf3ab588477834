"""What an S3 server can do wrong, played by the responder: each has its own error, none loses or invents an object."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from sluicegate.core import net
from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, RunError, SkippableError, ThrottledError
from sluicegate.providers.base import CheckStatus
from sluicegate.providers.s3 import fetching
from tests.providers.conformance import body_of, checks_of, entries_of
from tests.providers.s3_sources import Bucket
from tests.support.s3_responder import NAMESPACE, Canned, Drop, Reply, Request, S3Responder, Stall, error

SECRET = "secret-of-a-test/+=="


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        yield responder


@pytest.fixture
async def source(server: S3Responder) -> AsyncIterator[Bucket]:
    async with Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", SECRET) as bucket:
        yield bucket


def page(
    keys: str, *, truncated: bool = False, extra: str = "<EncodingType>url</EncodingType>", head: str = ""
) -> Reply:
    """A listing with these keys, as they are."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
        for key in keys.split()
    )
    text = (
        f"{head}<ListBucketResult xmlns='{NAMESPACE}'>{extra}<IsTruncated>{str(truncated).lower()}</IsTruncated>"
        f"{contents}</ListBucketResult>"
    )
    return Reply(200, text.encode(), {"Content-Type": "application/xml"})


def shown(caught: RunError) -> str:
    return f"{caught!r} {caught.message} {caught.hint} {caught.provider_code} {caught.__cause__!r}"


Case = tuple[Reply | Drop, type[RunError], ErrorCode, str]
LISTING: list[Case] = [
    (error(503, "SlowDown", headers={"Retry-After": "7"}), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "SlowDown"),
    (error(503, "ServiceUnavailable"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "ServiceUnavailable"),
    (Reply(503, b"busy"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "503"),
    (Reply(429, b""), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "429"),
    (error(400, "RequestLimitExceeded"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "RequestLimitExceeded"),
    (error(500, "InternalError"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "InternalError"),
    (Reply(502, b"<html>bad gateway"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "502"),
    (error(400, "RequestTimeout"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "RequestTimeout"),
    (Drop(), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "CONNECTION_RESET"),
    (error(404, "NoSuchBucket"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "NoSuchBucket"),
    (error(403, "InvalidAccessKeyId"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidAccessKeyId"),
    (error(403, "SignatureDoesNotMatch", SECRET), FatalError, ErrorCode.PROVIDER_AUTH, "SignatureDoesNotMatch"),
    (error(400, "ExpiredToken"), FatalError, ErrorCode.PROVIDER_AUTH, "ExpiredToken"),
    (error(400, "InvalidToken"), FatalError, ErrorCode.PROVIDER_AUTH, "InvalidToken"),
    (error(403, "AccessDenied"), FatalError, ErrorCode.PROVIDER_AUTH, "AccessDenied"),
    (error(403, "RequestTimeTooSkewed"), FatalError, ErrorCode.PROVIDER_AUTH, "RequestTimeTooSkewed"),
    (error(301, "PermanentRedirect"), FatalError, ErrorCode.PROVIDER_REFUSED, "PermanentRedirect"),
    (Reply(302, b"", {"Location": "http://169.254.169.254/"}), FatalError, ErrorCode.PROVIDER_REFUSED, "302"),
    (Reply(400, b"<!DOCTYPE x><Error><Code>SlowDown</Code></Error>"), FatalError, ErrorCode.PROVIDER_REFUSED, "400"),
    (Reply(200, b"<html>a console</html>"), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_LISTING"),
    (Reply(200, b""), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_LISTING"),
    (page("a b", head="<!DOCTYPE x>"), FatalError, ErrorCode.PROVIDER_REFUSED, "MALFORMED_LISTING"),
    (page("b a"), FatalError, ErrorCode.PROVIDER_REFUSED, "UNORDERED_LISTING"),
    (page("a a"), FatalError, ErrorCode.PROVIDER_REFUSED, "UNORDERED_LISTING"),
    (page("", truncated=True), FatalError, ErrorCode.PROVIDER_REFUSED, "ENDLESS_LISTING"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "code", "provider_code"), LISTING, ids=lambda value: str(value)[:40])
async def test_each_refusal_of_a_listing_has_its_error(
    server: S3Responder, source: Bucket, reply: Reply | Drop, kind: type[RunError], code: ErrorCode, provider_code: str
) -> None:
    server.always = reply
    async with source.open(aws_session_token="token-of-a-test") as provider:
        with pytest.raises(RunError) as caught:
            await entries_of(provider)
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.provider_code) == (code, provider_code)
    text = shown(caught.value)
    for hidden in (SECRET, "AKIDEXAMPLE", "token-of-a-test", "list-type", "Signature=", "169.254"):
        assert hidden not in text
    if kind is FatalError:
        assert caught.value.hint
    if provider_code == "SlowDown":
        assert caught.value.retry_after == 7


READING: list[Case] = [
    (error(404, "NoSuchKey"), SkippableError, ErrorCode.PROVIDER_NOT_FOUND, "NoSuchKey"),
    (error(412, "PreconditionFailed"), SkippableError, ErrorCode.CONFLICT, "PreconditionFailed"),
    (error(403, "AccessDenied"), SkippableError, ErrorCode.PROVIDER_AUTH, "AccessDenied"),
    (error(403, "InvalidObjectState"), SkippableError, ErrorCode.PROVIDER_REFUSED, "InvalidObjectState"),
    (error(400, "KMS.DisabledException"), SkippableError, ErrorCode.PROVIDER_AUTH, "KMS.DisabledException"),
    (error(400, "InvalidRequest"), SkippableError, ErrorCode.PROVIDER_REFUSED, "InvalidRequest"),
    (error(404, "NoSuchBucket"), FatalError, ErrorCode.PROVIDER_NOT_FOUND, "NoSuchBucket"),
    (error(403, "SignatureDoesNotMatch"), FatalError, ErrorCode.PROVIDER_AUTH, "SignatureDoesNotMatch"),
    (error(400, "ExpiredToken"), FatalError, ErrorCode.PROVIDER_AUTH, "ExpiredToken"),
    (error(503, "SlowDown"), ThrottledError, ErrorCode.PROVIDER_UNAVAILABLE, "SlowDown"),
    (error(500, "InternalError"), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "InternalError"),
    (Drop(), RetriableError, ErrorCode.PROVIDER_UNAVAILABLE, "CONNECTION_RESET"),
    (
        Reply(200, b"0123456789", {"ETag": '"e"'}, cut=5),
        RetriableError,
        ErrorCode.PROVIDER_UNAVAILABLE,
        "CONNECTION_RESET",
    ),
]


@pytest.mark.parametrize(("reply", "kind", "code", "provider_code"), READING, ids=lambda value: str(value)[:40])
async def test_each_refusal_of_an_object_has_its_error(
    server: S3Responder, source: Bucket, reply: Reply | Drop, kind: type[RunError], code: ErrorCode, provider_code: str
) -> None:
    server.always = reply
    async with source.open() as provider:
        with pytest.raises(RunError) as caught:
            await body_of(provider, b"key")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.provider_code) == (code, provider_code)
    assert SECRET not in shown(caught.value)


async def test_after_a_throttling_the_listing_goes_on_where_it_was(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(2500)
    async with source.open() as provider:
        found: list[bytes] = []
        cursor: dict[str, Any] | None = None

        async def first_pages() -> None:
            nonlocal cursor
            async with aclosing(provider.list()) as pages:
                async for got in pages:
                    found.extend(entry.key for entry in got.entries)
                    cursor = json.loads(json.dumps(got.cursor))
                    server.always = error(503, "SlowDown")

        with pytest.raises(ThrottledError):
            await first_pages()
        server.always = None
        found += [entry.key for entry in await entries_of(provider, cursor=cursor)]
    assert found == list(Canned(2500).keys)


async def test_a_server_that_dies_and_comes_back(server: S3Responder, source: Bucket) -> None:
    await source.put(b"a", b"1")
    async with source.open() as provider:
        await server.stop()
        with pytest.raises(RetriableError) as caught:
            await entries_of(provider)
        assert caught.value.provider_code == "CONNECT"
        await server.start()
        assert [entry.key for entry in await entries_of(provider)] == [b"a"]


async def test_a_listing_cut_in_the_middle_gives_no_page(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(10)
    full = server.answer(Request("GET", "/bucket", {}, b"", None, {}))
    assert isinstance(full, Reply)
    server.always = Reply(200, full.body, cut=len(full.body) // 2)
    async with source.open() as provider:
        with pytest.raises(RetriableError):
            await entries_of(provider)


async def test_a_server_that_stops_talking(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.connector.aclose()
    monkeypatch.setattr(net, "READ_SECONDS", 0.1)
    await source.connector.open()
    server.always = Stall()
    async with source.open() as provider:
        for work in (entries_of(provider), body_of(provider, b"key")):
            with pytest.raises(RetriableError) as caught:
                await work
            assert caught.value.provider_code == "TIMEOUT"


BILLION = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f"<!DOCTYPE b [<!ENTITY l0 'lol'>{BILLION}]><ListBucketResult>&l9;</ListBucketResult>",
    "external entity": "<!DOCTYPE b [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><ListBucketResult><Contents><Key>&e;</Key></Contents></ListBucketResult>",
    "external dtd": "<!DOCTYPE b SYSTEM '{endpoint}/evil.dtd'><ListBucketResult/>",
    "depth": "<ListBucketResult>" + "<a>" * 100_000 + "</a>" * 100_000 + "</ListBucketResult>",
    "text": "<ListBucketResult><Key>" + "x" * 11_000_000 + "</Key></ListBucketResult>",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_xml_bombs_are_refused(server: S3Responder, source: Bucket, name: str) -> None:
    server.always = Reply(200, BOMBS[name].replace("{endpoint}", server.endpoint).encode())
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "MALFORMED_LISTING"
    assert len(server.requests) == 1


async def test_a_page_without_end_is_not_taken_into_memory(
    server: S3Responder, source: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_PAGE_BYTES", 1000)
    server.objects = Canned(100)
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "ANSWER_TOO_LONG"


async def test_a_page_before_the_one_before_it_is_refused(server: S3Responder, source: Bucket) -> None:
    token = "<EncodingType>url</EncodingType><NextContinuationToken>t</NextContinuationToken>"
    server.faults.extend([page("m n", truncated=True, extra=token), page("a b")])
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "UNORDERED_LISTING"


async def test_keys_outside_the_prefix_are_refused(server: S3Responder, source: Bucket) -> None:
    server.always = page("data/1 other/2")
    async with source.open(prefix="data/") as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "FOREIGN_KEY"


async def test_a_listing_that_repeats_its_token_ends(server: S3Responder, source: Bucket) -> None:
    token = "<NextContinuationToken>same</NextContinuationToken>"
    server.always = page("", truncated=True, extra=token)
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "ENDLESS_LISTING"
    assert len(server.requests) == 2


async def test_a_page_of_nothing_is_passed_over(server: S3Responder, source: Bucket) -> None:
    """AWS sends them where many objects were deleted."""
    token = "<EncodingType>url</EncodingType><NextContinuationToken>t1</NextContinuationToken>"
    server.faults.extend([page("", truncated=True, extra=token), page("a")])
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == [b"a"]


async def test_a_token_that_is_refused_is_replaced_by_the_last_key(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(2500)

    def expired(request: Request) -> Reply:
        server.faults.append(expired)
        if "continuation-token" in request.query:
            return error(400, "InvalidArgument")
        server.faults.clear()
        answer = server.answer(request)
        server.faults.append(expired)
        assert isinstance(answer, Reply)
        return answer

    server.faults.append(expired)
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == list(server.objects.keys)
    assert sum("start-after" in request.query for request in server.requests) == 3  # the order is told with one


@pytest.mark.parametrize(
    ("text", "extra", "expected"),
    [
        ("a+b a%2520b a%2Bb", "<EncodingType>url</EncodingType>", [b"a b", b"a%20b", b"a+b"]),
        ("a%20b a%2Bb", "<EncodingType>url</EncodingType>", [b"a b", b"a+b"]),
        ("a%2fb", "<EncodingType>url</EncodingType>", [b"a/b"]),
        ("a%20b a%2Bb a+b", "", [b"a%20b", b"a%2Bb", b"a+b"]),
        ("%C3%A9 %FF", "<EncodingType>url</EncodingType>", [b"\xc3\xa9", b"\xff"]),
    ],
)
async def test_keys_are_decoded_as_the_server_says_that_it_encoded_them(
    server: S3Responder, source: Bucket, text: str, extra: str, expected: list[bytes]
) -> None:
    server.always = page(text, extra=extra)
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == expected


async def test_servers_that_leave_fields_out_or_have_no_namespace(server: S3Responder, source: Bucket) -> None:
    server.always = Reply(
        200,
        b"<ListBucketResult><Contents><Owner><ID>x</ID></Owner><Size>3</Size><Key>a</Key></Contents>"
        b"<Contents><Key>b</Key><ETag/><LastModified>2026-01-02T03:04:05Z</LastModified><Size>0</Size></Contents>"
        b"</ListBucketResult>",
    )
    async with source.open() as provider:
        first, second = await entries_of(provider)
    assert (first.key, first.size, first.modified) == (b"a", 3, None)
    assert (second.key, second.size, second.modified) == (b"b", 0, 1767323045000000)
    assert second.fingerprint.endswith("-0")


async def test_keys_go_out_exactly_as_they_are(server: S3Responder, source: Bucket) -> None:
    async with source.open() as provider:
        for key, path in [
            (b"../x", "/bucket/../x"), (b"a/./b//c/", "/bucket/a/./b//c/"), (b"a%2Fb", "/bucket/a%252Fb"),
            (b"a b+c", "/bucket/a%20b%2Bc"), (b"\n", "/bucket/%0A"), ("\u00e9".encode(), "/bucket/%C3%A9"),
        ]:  # fmt: skip
            with pytest.raises(SkippableError):
                await body_of(provider, key)
            assert server.requests[-1].target == path
            assert server.requests[-1].key == key


async def test_no_link_is_made_that_a_browser_would_shorten(source: Bucket) -> None:
    async with source.open() as provider:
        for key in (b"../x", b"a/./b", b"a/..", b"."):
            assert await provider.temporary_url(key, seconds=60) is None
        assert await provider.temporary_url(b"a..b/.c", seconds=60)


@pytest.mark.parametrize("where", ["header", "body"])
async def test_the_right_region_is_found_by_itself(server: S3Responder, source: Bucket, where: str) -> None:
    def wrong_region(request: Request) -> Reply:
        assert "/us-east-1/s3/" in request.headers["authorization"]
        if where == "header":
            return error(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"})
        return error(400, "AuthorizationHeaderMalformed", extra="<Region>eu-west-3</Region>")

    await source.put(b"a", b"1")
    server.faults.append(wrong_region)
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == [b"a"]
        link = await provider.temporary_url(b"a", seconds=60)
    assert "/eu-west-3/s3/" in server.requests[-1].headers["authorization"]
    assert "eu-west-3" in (link or "")


async def test_regions_that_contradict_each_other_end(server: S3Responder, source: Bucket) -> None:
    regions = iter(["eu-west-1", "eu-west-2", "eu-west-3"])
    server.always = lambda _: error(301, "PermanentRedirect", headers={"x-amz-bucket-region": next(regions)})
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert len(server.requests) == 2
    assert "eu-west-2" in (caught.value.hint or "")


async def test_a_range_that_is_ignored_is_told(server: S3Responder, source: Bucket) -> None:
    server.always = Reply(200, b"everything")
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await body_of(provider, b"a", start=5)
    assert caught.value.provider_code == "RANGE_IGNORED"


async def test_a_server_that_ignores_if_match_is_caught_by_the_etag(server: S3Responder, source: Bucket) -> None:
    server.always = Reply(200, b"other", {"ETag": '"new"'})
    async with source.open() as provider:
        with pytest.raises(SkippableError, match="changed"):
            await body_of(provider, b"a", fingerprint="old-5")


@pytest.mark.parametrize("tag", ["", "<ETag>&quot;&quot;</ETag>", "<ETag/>"])
async def test_without_an_etag_the_time_tells_a_change_and_reads_are_not_pinned(
    server: S3Responder, source: Bucket, tag: str
) -> None:
    seen: list[str] = []
    for second in (4, 5):
        server.always = Reply(
            200,
            b"<ListBucketResult><Contents><Key>a</Key><LastModified>2026-01-02T03:04:%02d.000Z</LastModified>%s"
            b"<Size>5</Size></Contents></ListBucketResult>" % (second, tag.encode()),
        )
        async with source.open() as provider:
            (entry,) = await entries_of(provider)
        seen.append(entry.fingerprint)
    assert seen[0] != seen[1]
    server.always = Reply(200, b"12345")
    async with source.open() as provider:
        assert await body_of(provider, b"a", fingerprint=seen[1]) == b"12345"
    assert "if-match" not in server.requests[-1].headers


async def test_a_multipart_etag_pins_too(server: S3Responder, source: Bucket) -> None:
    server.always = Reply(200, b"12345", {"ETag": '"abc-3"'})
    async with source.open() as provider:
        assert await body_of(provider, b"a", fingerprint="abc-3-5") == b"12345"
    assert server.requests[-1].headers["if-match"] == '"abc-3"'


async def test_the_next_page_is_fetched_while_one_is_used_and_only_that(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(5000)
    async with source.open() as provider, aclosing(provider.list()) as pages:
        await anext(pages)
        async with source.open() as other:
            await entries_of(other, limit=1)
        assert sum("max-keys=1000" in request.target for request in server.requests) == 2


async def test_a_limit_asks_for_no_more_than_it_needs(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(5000)
    async with source.open() as provider:
        assert len(await entries_of(provider, limit=25)) == 25
        assert [request.query["max-keys"] for request in server.requests] == ["25", "1"]  # and one to tell the order
        assert len(await entries_of(provider, limit=1500)) == 1500


async def test_the_sse_key_is_used_for_writes(server: S3Responder, source: Bucket) -> None:
    async with source.open(aws_sse_kms_key_id="arn:aws:kms:eu-west-1:123456789012:key/abc") as provider:
        checks = await checks_of(provider, write=True)
    assert checks["write"].status is CheckStatus.PASSED
    assert "KMS" in checks["write"].detail
    [put] = [request for request in server.requests if request.method == "PUT"]
    assert put.headers["x-amz-server-side-encryption"] == "aws:kms"
    assert put.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-west-1:123456789012:key/abc"
    assert "x-amz-server-side-encryption-aws-kms-key-id" in put.headers["authorization"]


async def test_a_bucket_that_may_be_written_but_not_listed(server: S3Responder, source: Bucket) -> None:
    server.always = error(403, "AccessDenied")
    async with source.open() as provider:
        checks = await checks_of(provider)
    assert {name: check.status for name, check in checks.items()} == {
        "resolve": CheckStatus.PASSED, "connect": CheckStatus.PASSED, "authenticate": CheckStatus.PASSED,
        "list": CheckStatus.FAILED, "read": CheckStatus.SKIPPED, "cors": CheckStatus.SKIPPED,
        "events": CheckStatus.SKIPPED,
    }  # fmt: skip
    assert checks["list"].provider_code == "AccessDenied"
    assert "s3:ListBucket" in (checks["list"].hint or "")


RULE = b"<CORSConfiguration><CORSRule><AllowedMethod>%b</AllowedMethod></CORSRule></CORSConfiguration>"
CORS: list[tuple[Reply, CheckStatus]] = [
    (Reply(200, RULE % b"GET"), CheckStatus.PASSED),
    (Reply(200, RULE % b"PUT"), CheckStatus.WARNING),
    (error(404, "NoSuchCORSConfiguration"), CheckStatus.WARNING),
    (error(403, "AccessDenied"), CheckStatus.WARNING),
    (error(501, "NotImplemented"), CheckStatus.WARNING),
    (Reply(200, b"<<<"), CheckStatus.WARNING),
    (Reply(200, b"x", cut=0), CheckStatus.WARNING),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "status"), CORS)
async def test_cors_is_at_worst_a_warning(
    server: S3Responder, source: Bucket, reply: Reply, status: CheckStatus
) -> None:
    await source.put(b"a", b"1")
    answer: Callable[[Request], Any] = server.answer

    def fault(request: Request) -> Any:
        if "cors" in request.query:
            return reply
        server.always = None
        try:
            return answer(request)
        finally:
            server.always = fault

    server.always = fault
    async with source.open() as provider:
        checks = await checks_of(provider)
    assert checks["cors"].status is status


@pytest.mark.parametrize("kind", [OSError, TimeoutError, ValueError])
async def test_an_error_of_the_reader_is_not_taken_for_one_of_the_server(source: Bucket, kind: type[Exception]) -> None:
    await source.put(b"a", b"1")
    async with source.open() as provider:
        with pytest.raises(kind, match="disk full"):
            async with provider.read(b"a"):
                raise kind("disk full")
        assert await body_of(provider, b"a") == b"1"


@pytest.mark.parametrize(("method", "right"), [("PUT", "s3:PutObject"), ("DELETE", "s3:DeleteObject")])
async def test_a_bucket_that_may_not_be_written(server: S3Responder, source: Bucket, method: str, right: str) -> None:
    def refuse(request: Request) -> Any:
        if request.method == method:
            return error(403, "AccessDenied")
        server.always = None
        try:
            return server.answer(request)
        finally:
            server.always = refuse

    server.always = refuse
    async with source.open() as provider:
        check = (await checks_of(provider, write=True))["write"]
    assert (check.status, check.code, check.provider_code) == (
        CheckStatus.FAILED,
        ErrorCode.PROVIDER_AUTH,
        "AccessDenied",
    )
    assert right in (check.hint or "")


async def test_a_common_prefix_at_the_end_of_a_page_does_not_disturb_the_order(
    server: S3Responder, source: Bucket
) -> None:
    for key in (b"a/1", b"b/1", b"b0", b"c/1", b"d"):
        await source.put(key, b"1")
    server.page_size = 1
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider, recursive=False)] == [b"b0", b"d"]


async def test_giving_a_listing_up_ends_the_page_on_its_way(server: S3Responder, source: Bucket) -> None:
    server.objects = Canned(3000)
    answered = asyncio.Event()

    def stall(request: Request) -> Stall:
        answered.set()
        return Stall()

    async with source.open() as provider:
        pages = provider.list()
        first = server.answer(Request("GET", "/bucket", {}, b"", None, {}))
        server.always = lambda request: stall(request) if "continuation-token" in request.query else first
        await anext(pages)
        await answered.wait()
        await asyncio.wait_for(pages.aclose(), 5)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "s3-list-page"]


async def test_a_canceled_listing_is_canceled(server: S3Responder, source: Bucket) -> None:
    asked = asyncio.Event()

    def stall(request: Request) -> Stall:
        asked.set()
        return Stall()

    server.always = stall
    async with source.open() as provider:
        task = asyncio.create_task(entries_of(provider))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "s3-list-page"]
