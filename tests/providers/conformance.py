"""What every provider must do, whatever it reads. A subclass gives a `source`; each test gets an empty one."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, aclosing
from hashlib import md5
from typing import Any

import pytest

from sluicegate.core.errors import SkippableError
from sluicegate.providers.base import Check, CheckStatus, Entry, Provider
from sluicegate.providers.throttle import Throttle

LONG = b"long/" + b"k" * 120 + b"/" + b"m" * 120
ODD_KEYS = [
    b"a", b"a-b", b"a.b", b"b/c", b"b/d/e", b"b-c", b"A", b".hidden", b".folder/file", b"Z/z",
    b"new\nline", b"tab\tkey", "emoji-\U0001f600".encode(), "\u00e9".encode(), "e\u0301".encode(),
    "\U0010ffff".encode(), "\uffee".encode(),
    b"pct%2Fx", b"pct%20x", b"pct%", b"q?x=1&y#z", b"quote'\"", b"<&>]]>", b"star*~()!$,;:@=", b"brack[et]{s}|^`",
    LONG,
]  # fmt: skip
NO_PREFIXES = [
    b"", b"nothing/", b"b/c/", b"b//", b"../", b"b/../", b"./", b"b/./c", b"/", b"\x00", b"\xff", b"p" * 2000,
    b"p" * 300 + b"/",
]  # fmt: skip
SPACED_KEYS = [b"plus+one", b"plus+two three", b" leading", b"trailing ", b"in side"]


class Source(ABC):
    """Where a provider reads from, written to behind its back."""

    secrets: tuple[str, ...] = ()

    @abstractmethod
    async def put(self, key: bytes, body: bytes) -> None:
        """Writes an object."""

    @abstractmethod
    async def delete(self, key: bytes) -> None:
        """Deletes one."""

    @abstractmethod
    def open(self, **changes: Any) -> AbstractAsyncContextManager[Provider]:
        """A provider over it; `changes` are settings that differ."""

    def key_shown(self, key: bytes) -> bytes:
        """The key that the source gives an object that was put under `key`."""
        return key


async def entries_of(provider: Provider, **options: Any) -> list[Entry]:
    """Everything that a listing gives."""
    async with aclosing(provider.list(**options)) as pages:
        return [entry async for page in pages for entry in page.entries]


async def body_of(provider: Provider, key: bytes, **options: Any) -> bytes:
    """An object's bytes."""
    async with provider.read(key, **options) as content:
        return b"".join([chunk async for chunk in content.chunks()])


async def checks_of(provider: Provider, **options: Any) -> dict[str, Check]:
    """The steps of a validation by name."""
    return {check.name: check async for check in provider.validate(**options)}


class ProviderConformance:
    """The suite."""

    keys: tuple[bytes, ...] = tuple(ODD_KEYS + SPACED_KEYS)
    prefixes_of_nothing: tuple[bytes, ...] = tuple(NO_PREFIXES)

    async def test_lists_every_key_once_in_byte_order(self, source: Source) -> None:
        for number, key in enumerate(self.keys):
            await source.put(key, b"x" * number)
        async with source.open() as provider:
            found = await entries_of(provider)
        assert [entry.key for entry in found] == sorted(self.keys)
        assert {entry.key: entry.size for entry in found} == {key: number for number, key in enumerate(self.keys)}
        assert all(entry.modified and entry.modified > 1_500_000_000_000_000 for entry in found)

    async def test_reads_every_key_that_it_lists(self, source: Source) -> None:
        for key in self.keys:
            await source.put(key, b"body of " + key)
        async with source.open() as provider:
            for entry in await entries_of(provider):
                async with provider.read(entry.key, fingerprint=entry.fingerprint) as content:
                    assert b"".join([chunk async for chunk in content.chunks()]) == b"body of " + entry.key
                    assert content.size == content.total_size == entry.size
                    assert content.fingerprint == entry.fingerprint

    async def test_goes_on_from_the_cursor_of_any_page(self, source: Source) -> None:
        for key in self.keys:
            await source.put(key, b"1")
        async with source.open() as provider:
            everything = [entry.key for entry in await entries_of(provider)]
            for count in range(1, len(everything)):
                async with aclosing(provider.list(limit=count)) as pages:
                    start = [page async for page in pages]
                cursor = json.loads(json.dumps(start[-1].cursor))
                first = [entry.key for page in start for entry in page.entries]
                assert first == everything[:count]
                rest = [entry.key for entry in await entries_of(provider, cursor=cursor)]
                assert first + rest == everything

    async def test_goes_on_after_a_key_that_is_gone_meanwhile(self, source: Source) -> None:
        for key in (b"a", b"b/1", b"b/2", b"c"):
            await source.put(key, b"1")
        async with source.open() as provider:
            async with aclosing(provider.list(limit=2)) as pages:
                cursor = [page.cursor async for page in pages][-1]
            await source.delete(b"b/1")
            assert [entry.key for entry in await entries_of(provider, cursor=cursor)] == [b"b/2", b"c"]

    async def test_an_empty_source_has_no_page(self, source: Source) -> None:
        async with source.open() as provider:
            async with aclosing(provider.list()) as pages:
                assert [page async for page in pages] == []
            checks = await checks_of(provider)
        assert checks["list"].status is CheckStatus.WARNING
        assert checks["read"].status is CheckStatus.SKIPPED

    async def test_not_recursive_is_the_top_level_alone(self, source: Source) -> None:
        for key in (b"a", b"b/c", b"b/d/e", b"b-c", b"z"):
            await source.put(key, b"1")
        async with source.open() as provider:
            found = await entries_of(provider, recursive=False)
        assert [entry.key for entry in found] == [b"a", b"b-c", b"z"]

    async def test_a_prefix_names_a_folder_half_a_name_or_nothing(self, source: Source) -> None:
        for key in self.keys:
            await source.put(key, b"1")
        parts = {key[:size] for key in self.keys for size in (1, 2, len(key) - 1, len(key))}
        async with source.open() as provider:
            everything = await entries_of(provider)
            for prefix in sorted(parts | {*self.prefixes_of_nothing}):
                expected = [entry for entry in everything if entry.key.startswith(prefix)]
                assert await entries_of(provider, prefix=prefix) == expected, prefix
            for prefix in (b"", b"b", b"b/", b"b-", b"b/d", b"a"):
                expected = [entry for entry in everything if entry.key.startswith(prefix) and b"/" not in entry.key]
                assert await entries_of(provider, prefix=prefix, recursive=False) == expected, prefix

    async def test_a_cursor_goes_on_within_a_prefix_whichever_it_was_made_with(self, source: Source) -> None:
        keys = [b"b-c", b"b-d/x", b"b/c", b"b/d-e", b"b/d/e", b"b/d/f", b"b0", b"c-", b"c/x"]
        for key in keys:
            await source.put(key, b"1")
        prefixes = (b"", b"b", b"b/", b"b/d", b"b/d/", b"b-d/", b"c", b"d", b"a")
        for made in (b"", b"b/d"):
            for place in range(1, 1 + len([key for key in keys if key.startswith(made)]), 2):
                async with source.open() as provider, aclosing(provider.list(prefix=made, limit=place)) as pages:
                    last = [page async for page in pages][-1]
                cursor, after = json.loads(json.dumps(last.cursor)), last.entries[-1].key
                for prefix in prefixes:
                    async with source.open() as provider:  # which knows nothing yet of the order
                        rest = await entries_of(provider, prefix=prefix, cursor=cursor)
                    assert [e.key for e in rest] == [key for key in keys if key > after and key.startswith(prefix)]

    async def test_stat_finds_what_the_listing_does(self, source: Source) -> None:
        for number, key in enumerate(self.keys):
            await source.put(key, b"x" * number)
        async with source.open() as provider:
            for entry in await entries_of(provider):
                found = await provider.stat(entry.key)
                assert found is not None, entry.key
                assert found.entry._replace(modified=None) == entry._replace(modified=None)
                assert entry.modified is not None
                assert found.entry.modified in (entry.modified, entry.modified // 1_000_000 * 1_000_000)

    async def test_stat_of_what_is_gone_or_no_object(self, source: Source) -> None:
        for key in (b"goes", b"folder/file"):
            await source.put(key, b"1")
        async with source.open() as provider:
            assert await provider.stat(b"goes") is not None
            await source.delete(b"goes")
            for key in (b"goes", b"folder", b"folder/no", b"no/such/folder", b"folder/file/no", b"n" * 300):
                assert await provider.stat(key) is None, key

    async def test_the_same_content_has_the_same_hash_or_none(self, source: Source) -> None:
        bodies = {b"one": b"1", b"same": b"1", b"other": b"2"}
        for key, body in bodies.items():
            await source.put(key, body)
        async with source.open() as provider:
            found = {entry.key: provider.content_hash(entry) for entry in await entries_of(provider)}
        assert found in (
            dict.fromkeys(bodies),
            {key: f"md5:{md5(body).hexdigest()}:1" for key, body in bodies.items()},
        )

    async def test_a_change_changes_the_fingerprint_and_a_deletion_the_listing(self, source: Source) -> None:
        for key in (b"changes", b"goes", b"stays"):
            await source.put(key, b"one")
        async with source.open() as provider:
            before = {entry.key: entry.fingerprint for entry in await entries_of(provider)}
            assert before == {entry.key: entry.fingerprint for entry in await entries_of(provider)}
            await source.put(b"changes", b"two")
            await source.delete(b"goes")
            after = {entry.key: entry.fingerprint for entry in await entries_of(provider)}
        assert set(after) == {b"changes", b"stays"}
        assert after[b"stays"] == before[b"stays"]
        assert after[b"changes"] != before[b"changes"]

    async def test_ranges(self, source: Source) -> None:
        await source.put(b"digits", b"0123456789")
        async with source.open() as provider:
            for start, end, expected in [
                (0, None, b"0123456789"), (0, 4, b"0123"), (3, 7, b"3456"), (7, None, b"789"), (7, 100, b"789"),
                (9, 10, b"9"),
                (4, 4, b""),
            ]:  # fmt: skip
                async with provider.read(b"digits", start=start, end=end) as content:
                    assert b"".join([chunk async for chunk in content.chunks()]) == expected
                    assert content.size == len(expected)
                    if expected:
                        assert content.total_size == 10
            with pytest.raises(SkippableError):
                await body_of(provider, b"digits", start=10)

    async def test_an_empty_object_is_read(self, source: Source) -> None:
        await source.put(b"nothing", b"")
        async with source.open() as provider:
            assert await body_of(provider, b"nothing") == b""

    async def test_a_large_body_comes_in_bounded_pieces(self, source: Source) -> None:
        body = bytes(range(256)) * 20_000
        await source.put(b"large", body)
        async with source.open() as provider, provider.read(b"large") as content:
            chunks = [chunk async for chunk in content.chunks()]
        assert max(map(len, chunks)) <= 1024 * 1024
        assert b"".join(chunks) == body

    async def test_a_read_that_is_given_up_leaves_the_provider_usable(self, source: Source) -> None:
        await source.put(b"large", b"x" * 5_000_000)
        async with source.open() as provider:
            for _ in range(3):
                async with provider.read(b"large") as content:
                    async for _ in content.chunks():
                        break
            assert len(await body_of(provider, b"large")) == 5_000_000

    async def test_a_pinned_read_refuses_what_changed_since(self, source: Source) -> None:
        await source.put(b"pinned", b"one")
        async with source.open() as provider:
            [entry] = await entries_of(provider)
            assert await body_of(provider, b"pinned", fingerprint=entry.fingerprint) == b"one"
            await source.put(b"pinned", b"two")
            with pytest.raises(SkippableError, match="changed"):
                await body_of(provider, b"pinned", fingerprint=entry.fingerprint)
            assert await body_of(provider, b"pinned") == b"two"

    async def test_what_is_gone_is_skipped(self, source: Source) -> None:
        async with source.open() as provider:
            for key in (b"gone", b"no/such/folder", b"gone\n"):
                with pytest.raises(SkippableError, match="gone"):
                    await body_of(provider, key)

    async def test_a_cursor_of_another_version_is_refused(self, source: Source) -> None:
        async with source.open() as provider:
            for cursor in ({"v": 99, "after": "a"}, {"v": 1, "after": 7}, {}):
                with pytest.raises(Exception, match="another version"):
                    await entries_of(provider, cursor=cursor)

    async def test_a_good_connection_passes_every_step(self, source: Source) -> None:
        await source.put(b"a", b"content")
        async with source.open() as provider:
            checks = await checks_of(provider)
        assert CheckStatus.FAILED not in {check.status for check in checks.values()}
        assert checks["list"].status is checks["read"].status is CheckStatus.PASSED

    async def test_addresses_hold_no_secret(self, source: Source) -> None:
        async with source.open() as provider:
            for key in self.keys:
                uri = provider.uri(key)
                assert uri.isascii()
                assert uri.isprintable()
                assert not any(secret in uri for secret in source.secrets)

    async def test_ceilings_slow_it_down(self, source: Source) -> None:
        for key in (b"a", b"b", b"c"):
            await source.put(key, b"1")
        waits: list[float] = []
        async with source.open(throttle=Throttle(2.0)) as provider:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sluicegate.providers.throttle.asyncio", _Clockless(waits))
                for key in (b"a", b"b", b"c", b"a"):
                    await body_of(provider, key)
        assert sum(waits) > 0.4


class _Clockless:
    """asyncio, of which `throttle` uses the sleep alone: kept, not slept."""

    def __init__(self, waits: list[float]) -> None:
        self._waits = waits

    async def sleep(self, seconds: float) -> None:
        self._waits.append(seconds)
