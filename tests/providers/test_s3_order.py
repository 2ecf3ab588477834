"""Servers that list folder by folder: what comes out is in byte order, from every place, and nothing is passed over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sluicegate.core.errors import ErrorCode, FatalError, RetriableError, ThrottledError
from sluicegate.providers.base import Page
from sluicegate.providers.cursor import make_cursor
from sluicegate.providers.s3 import walk
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.credentials import credential_source
from sluicegate.providers.s3.fetching import fetch_page
from sluicegate.providers.s3.pages import ListPage
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.throttle import Throttle
from tests.providers.conformance import entries_of
from tests.providers.s3_sources import Bucket
from tests.support.s3_responder import Canned, Fault, Reply, Request, S3Responder, error
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY, SeaweedServer

# No `b/` besides `b`: SeaweedFS has one entry for both.
TREE = [
    b"a", b"b", b"b-c", b"b-c/d", b"b.c", b"b/c", b"b/d-e", b"b/d/e", b"b0", b"c/", b"c/-y", b"c/x", b"c-/y", b"d/e/f/",
    b"d/e/f-", b"d/e-f", b"g/1", b"g/2", b"g/3", b"z", "\u00e9/x".encode(), "\U00010000/x".encode(), b"\xef\xbf\xae/y",
]  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[S3Responder]:
    async with S3Responder(order="folders") as responder:
        yield responder


@pytest.fixture
async def source(server: S3Responder) -> AsyncIterator[Bucket]:
    async with Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", "secret-of-a-test") as bucket:
        yield bucket


@pytest.fixture
async def seaweed_bucket(seaweed: SeaweedServer) -> AsyncIterator[Bucket]:
    async with Bucket(seaweed.endpoint, f"bucket-{uuid4().hex}", ACCESS_KEY, SECRET_KEY) as bucket:
        await bucket.create()
        yield bucket


def client_of(bucket: Bucket) -> S3Client:
    context = bucket.context()
    checked = Settings(**bucket.values)
    return S3Client(bucket.connector, checked, credential_source(checked, context), Throttle())


async def pages_of(client: S3Client, size: int, prefix: bytes, **first: str | bytes) -> list[ListPage]:
    """A listing as the server gives it, its tokens followed."""
    common = {"delimiter": "/"} if "delimiter" in first else {}
    place: dict[str, str | bytes] = {name.replace("_", "-"): value for name, value in first.items()}
    found: list[ListPage] = []
    while True:
        found.append(await fetch_page(client, prefix, size, place))
        if not found[-1].truncated:
            return found
        place = {**common, "continuation-token": found[-1].token or ""}


async def test_the_responder_lists_as_seaweedfs_does(
    server: S3Responder, source: Bucket, seaweed_bucket: Bucket
) -> None:
    for key in TREE:
        for bucket in (source, seaweed_bucket):
            await bucket.put(key, b"")
    clients = [client_of(bucket) for bucket in (source, seaweed_bucket)]
    asked: list[tuple[int, bytes, dict[str, str | bytes]]] = [
        (size, prefix, {**delimited, **start})
        for size in (1, 2, 3, 7, 1000)
        for prefix in (b"", b"b", b"b/", b"d/", b"d/e/", b"c/", b"nothing/", b"b/c/")
        for delimited in ({}, {"delimiter": "/"})
        if (size, prefix) != (1, b"c/")  # SeaweedFS ends such a page after the folder's marker; nobody asks for one
        for start in ({}, *({"start_after": prefix + name} for name in (b"b", b"e", b"-")))
    ]  # fmt: skip
    for size, prefix, first in asked:
        ours, real = [
            [
                ([entry.key for entry in page.entries], page.prefixes, page.truncated)
                for page in await pages_of(client, size, prefix, **first)
            ]
            for client in clients
        ]
        assert ours == real, (size, prefix, first)


names = st.lists(st.sampled_from(["a", "b", "-", ".", "0", "\u00e9"]), min_size=1, max_size=3).map("".join)
keys = st.builds(
    lambda parts, marker: "/".join(parts).encode() + (b"/" if marker else b""),
    st.lists(names, min_size=1, max_size=4),
    st.integers(0, 9).map(lambda number: number == 0),
)


@given(found=st.sets(keys, max_size=14), page_size=st.integers(1, 7), prefix=st.sampled_from(["", "a", "a/", "b"]))
@example(found={b"b", b"b/c", b"b-c"}, page_size=1, prefix="")
@example(found={b"a/b", b"a/b-c", b"a/b/c", b"a-"}, page_size=2, prefix="a")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kept_levels", [1, 16])
def test_any_keys_are_listed_in_byte_order_from_any_place(
    found: set[bytes], page_size: int, prefix: str, kept_levels: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "KEPT_LEVELS", kept_levels)
        patch.setattr(walk, "FEW_NAMES", 0)
        asyncio.run(_check_every_place(found, page_size, prefix))


async def _check_every_place(found: set[bytes], page_size: int, prefix: str) -> None:
    async with (
        S3Responder(order="folders") as server,
        Bucket(server.endpoint, "bucket", "AKIDEXAMPLE", "secret-of-a-test") as bucket,
    ):
        for key in found:
            server.store.put(key, b"x")
        server.page_size = page_size
        expected = sorted(key for key in found if key.startswith(prefix.encode()))
        top = [key for key in expected if b"/" not in key[len(prefix) :]]
        async with bucket.open(prefix=prefix) as provider:
            assert [entry.key for entry in await entries_of(provider)] == expected
            assert [entry.key for entry in await entries_of(provider, recursive=False)] == top
        for part in (b"a", b"a/", b"a/b", b"b/a/", b"a-"):
            async with bucket.open(prefix=prefix) as provider:
                found_there = [entry.key for entry in await entries_of(provider, prefix=part)]
            assert found_there == [key for key in expected if key.startswith(part)]
        for place, after in enumerate(expected, 1):
            async with bucket.open(prefix=prefix) as provider:
                cursor = {**make_cursor(after), "walk": True}
                assert [entry.key for entry in await entries_of(provider, cursor=cursor)] == expected[place:]
            async with bucket.open(prefix=prefix) as provider:
                pages = await _pages(provider.list(limit=place))
                assert [entry.key for page in pages for entry in page.entries] == expected[:place]
            async with bucket.open(prefix=prefix) as provider:  # another process: knows what the cursor says
                cursor = json.loads(json.dumps(pages[-1].cursor))
                assert [entry.key for entry in await entries_of(provider, cursor=cursor)] == expected[place:]
        for place, after in enumerate(top, 1):
            async with bucket.open(prefix=prefix) as provider:
                rest = await entries_of(provider, recursive=False, cursor=make_cursor(after))
                assert [entry.key for entry in rest] == top[place:]


async def _pages(listing: Any) -> list[Page]:
    async with aclosing(listing) as pages:
        return [page async for page in pages]


async def test_folder_markers_of_seaweedfs_come_in_order_from_any_place(seaweed_bucket: Bucket) -> None:
    for key in TREE:
        await seaweed_bucket.put(key, b"")
    expected = sorted(TREE)
    for place, after in enumerate(expected, 1):
        async with seaweed_bucket.open() as provider:
            cursor = {**make_cursor(after), "walk": True}
            assert [entry.key for entry in await entries_of(provider, cursor=cursor)] == expected[place:], after


async def test_folders_of_seaweedfs_larger_than_a_page(seaweed_bucket: Bucket) -> None:
    """Every name is a file and a folder, so that pages end between the two."""
    client = client_of(seaweed_bucket)
    tree = sorted([b"w/%04d" % number for number in range(700)] + [b"w/%04d/f" % number for number in range(700)])
    by_length = sorted(tree, key=len)  # made at the same time, a file and its folder can cost one of the two
    for start in range(0, len(tree), 50):
        async with asyncio.TaskGroup() as group:
            for key in by_length[start : start + 50]:
                group.create_task(client.fetch("PUT", key))
    await seaweed_bucket.put(b"w-", b"")
    async with seaweed_bucket.open() as provider:
        pages = await _pages(provider.list())
        assert [entry.key for page in pages for entry in page.entries] == [b"w-", *tree]
        assert max(len(page.entries) for page in pages) <= 1000
        for page in pages[:-1]:
            rest = [entry.key for entry in await entries_of(provider, cursor=page.cursor)]
            assert rest == [key for key in tree if key > page.entries[-1].key]


async def test_nothing_is_handed_on_that_a_later_key_comes_before(server: S3Responder, source: Bucket) -> None:
    """`b/1` comes first and fills pages before `b-c` shows the order; by then the reader took `b-c` for missing."""
    for number in range(5):
        await source.put(b"b/%d" % number, b"x")
    await source.put(b"b-c", b"x")
    server.page_size = 2
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)][:2] == [b"b-c", b"b/0"]


async def test_a_place_in_front_of_a_folder_of_the_same_name(server: S3Responder, source: Bucket) -> None:
    """Such a server starts behind the folder, in an order that shows nothing."""
    for key in (b"a", b"b", b"b/c", b"d"):
        await source.put(key, b"x")
    async with source.open() as provider:
        rest = await entries_of(provider, cursor=make_cursor(b"b"))
    assert [entry.key for entry in rest] == [b"b/c", b"d"]


async def test_the_order_is_learned_once(server: S3Responder, source: Bucket) -> None:
    await source.put(b"b/c", b"x")
    async with source.open() as provider:
        await entries_of(provider)
        server.requests.clear()
        [page] = await _pages(provider.list())
        assert all("delimiter" in request.query for request in server.requests)
        assert len(server.requests) == 2
    assert page.cursor == {"v": 1, "after": "b/c", "walk": True}


async def test_only_keys_of_the_prefix_are_asked_for(source: Bucket, server: S3Responder) -> None:
    server.order = "bytes"
    server.objects = Canned(3000)
    async with source.open(prefix="data/") as provider:
        server.requests.clear()
        assert len(await entries_of(provider, prefix=b"data/00001/")) == 1000
        assert [request.query["prefix"] for request in server.requests] == ["data/00001/"]
        server.requests.clear()
        for prefix in (b"date", b"d/", b"data/\xff" * 400):
            assert await entries_of(provider, prefix=prefix) == []
        assert await entries_of(provider, prefix=b"data/00001/", recursive=False) == []
        assert not server.requests


async def test_a_server_in_byte_order_is_asked_once_more_and_never_walked(source: Bucket, server: S3Responder) -> None:
    server.order = "bytes"
    server.objects = Canned(2500)
    async with source.open() as provider:
        for requests in (4, 3):
            server.requests.clear()
            assert len(await entries_of(provider)) == 2500
            assert len(server.requests) == requests
    assert not any("delimiter" in request.query for request in server.requests)


async def test_keys_of_no_folder_need_no_question(source: Bucket, server: S3Responder) -> None:
    for key in (b"a", b"b-c", b"b.c"):
        await source.put(key, b"x")
    server.requests.clear()
    async with source.open() as provider:
        assert len(await entries_of(provider)) == 3
    assert len(server.requests) == 1


def every(server: S3Responder, number: int, fault: Reply) -> None:
    """Every so many requests fail."""
    count = 0
    original = server.answer

    def answer(request: Request) -> Any:
        nonlocal count
        count += 1
        return original(request) if count % number else fault

    server.answer = answer


@pytest.mark.parametrize(
    ("fault", "kind"), [(error(500, "InternalError"), RetriableError), (error(503, "SlowDown"), ThrottledError)]
)
async def test_a_walk_of_many_requests_gets_on_where_each_few_of_them_one_fails(
    server: S3Responder, source: Bucket, fault: Reply, kind: type[Exception]
) -> None:
    expected = [b"%02d/%d" % (folder, number) for folder in range(20) for number in range(2)]
    for key in expected:
        await source.put(key, b"x")
    every(server, 7, fault)
    found: list[bytes] = []
    cursor: dict[str, Any] | None = None
    failures = 0
    while True:
        async with source.open() as provider:
            try:
                async with aclosing(provider.list(cursor=cursor)) as pages:
                    async for page in pages:
                        found += [entry.key for entry in page.entries]
                        cursor = page.cursor
                break
            except kind:
                failures += 1
                assert failures < 10
    assert found == expected
    assert failures > 1


async def test_a_token_that_is_refused_in_a_folder_is_replaced_by_the_last_name(
    server: S3Responder, source: Bucket
) -> None:
    for key in TREE:
        await source.put(key, b"x")
    server.page_size = 2
    original = server.answer
    refused: set[str] = set()

    def answer(request: Request) -> Any:
        token = request.query.get("continuation-token")
        if token is None or token in refused:
            return original(request)
        refused.add(token)
        return error(400, "InvalidArgument")

    server.answer = answer
    async with source.open() as provider:
        cursor = {"v": 1, "after": None, "walk": True}
        assert [entry.key for entry in await entries_of(provider, cursor=cursor)] == sorted(TREE)


def level_page(keys: str, prefixes: str = "", token: str | None = None) -> Reply:
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag></Contents>" for key in keys.split())
    common = "".join(f"<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>" for key in prefixes.split())
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Reply(200, f"<ListBucketResult>{more}{contents}{common}</ListBucketResult>".encode())


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([level_page("b a")], "UNORDERED_LISTING"),
        ([level_page("", "b/ a/")], "UNORDERED_LISTING"),
        ([level_page("m", token="t"), level_page("a")], "UNORDERED_LISTING"),
        ([level_page("m", token="t"), level_page("", "a/")], "UNORDERED_LISTING"),
        ([level_page("a/b")], "FOREIGN_KEY"),
        ([level_page("", "a/b/")], "FOREIGN_KEY"),
        ([level_page("", "a")], "FOREIGN_KEY"),
        ([level_page("", "a/"), level_page("b")], "FOREIGN_KEY"),
        ([level_page("", token="t"), level_page("", token="t")], "ENDLESS_LISTING"),
    ],
)  # fmt: skip
async def test_what_a_walk_refuses(server: S3Responder, source: Bucket, replies: list[Fault], code: str) -> None:
    server.faults.extend(replies)
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider, cursor={"v": 1, "after": None, "walk": True})
    assert (caught.value.code, caught.value.provider_code) == (ErrorCode.PROVIDER_REFUSED, code)


async def test_folders_without_end_are_refused(server: S3Responder, source: Bucket) -> None:
    server.always = lambda request: level_page("", request.query["prefix"] + "a" * 100 + "/")
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider, cursor={"v": 1, "after": None, "walk": True})
    assert caught.value.provider_code == "ENDLESS_LISTING"
    assert len(server.requests) < 15


async def test_as_deep_as_a_key_can_be(server: S3Responder, source: Bucket) -> None:
    deep = [b"d/" * depth + b"x" for depth in range(512)]
    for key in deep:
        await source.put(key, b"")
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == sorted(deep)


@pytest.mark.parametrize("later", ["b-c", "d/1 d-x"])
async def test_an_order_that_shows_after_keys_were_handed_on_is_refused(
    server: S3Responder, source: Bucket, later: str
) -> None:
    """Lists by folder, but starts by key: what it said of its order does not hold."""

    def answer(request: Request) -> Any:
        if "continuation-token" in request.query:
            return level_page(later)
        return level_page("b/1") if "start-after" in request.query else level_page("b/1 b/2", token="t")

    server.answer = answer
    async with source.open() as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.provider_code == "UNORDERED_LISTING"


async def test_giving_a_walk_up_ends_what_is_on_its_way(source: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "PAGE_KEYS", 1)
    for number in range(5):
        await source.put(b"%d/x" % number, b"x")
    async with source.open() as provider:
        pages = provider.list()
        await anext(pages)
        await pages.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "s3-list-page"]


async def test_the_ceiling_on_requests_holds_for_a_walk(source: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Clockless:
        async def sleep(self, seconds: float) -> None:
            waits.append(seconds)

    for number in range(6):
        await source.put(b"%d/x" % number, b"x")
    monkeypatch.setattr("sluicegate.providers.throttle.asyncio", Clockless())
    async with source.open(throttle=Throttle(2.0)) as provider:
        assert len(await entries_of(provider)) == 6
    assert sum(waits) > 2
