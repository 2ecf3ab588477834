"""LOCAL: the suite that every provider passes, and what only files can do."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sluicegate.core.errors import ErrorCode, FatalError, InvalidError, RetriableError, SkippableError
from sluicegate.core.net import Connector
from sluicegate.providers import local
from sluicegate.providers.base import CheckStatus, Provider, ProviderContext
from sluicegate.providers.local import walk
from sluicegate.providers.local.provider import CHUNK
from tests.providers.conformance import ProviderConformance, Source, body_of, checks_of, entries_of


class Folder(Source):
    def __init__(self, home: Path) -> None:
        self.root = home / "root"
        self.data_dir = home / "data"
        self.path = self.root / "storage"
        self.path.mkdir(parents=True)
        self._writes = 0

    def at(self, key: bytes) -> Path:
        return self.path / os.fsdecode(key)

    def write(self, key: bytes, body: bytes) -> None:
        path = self.at(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self._writes += 1  # beyond the clock tick of any file system
        os.utime(path, ns=(0, 1_700_000_000_000_000_000 + self._writes * 1_000_000_000))

    async def put(self, key: bytes, body: bytes) -> None:
        self.write(key, body)

    async def delete(self, key: bytes) -> None:
        self.at(key).unlink()

    def context(self, **changes: Any) -> ProviderContext:
        values: dict[str, Any] = {"local_roots": {"tenant": str(self.root)}, "data_dir": str(self.data_dir), **changes}
        return ProviderContext(Connector(), "tenant", 1, **values)

    @asynccontextmanager
    async def open(self, path: str = "storage", **changes: Any) -> AsyncGenerator[Provider, None]:
        context = self.context(**changes)
        async with local.open_provider(local.parse({"path": path}, context=context), context) as provider:
            yield provider


@pytest.fixture
def source(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class TestConformance(ProviderConformance):
    keys = (*ProviderConformance.keys, b"latin-\xe9", b"\xff\xfe/\x80", b"x" * 255)


async def test_a_prefix_is_a_folder_of_the_storage_and_never_a_way_out(source: Folder, tmp_path: Path) -> None:
    source.write(b"in/file", b"1")
    (source.root / "beside").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"secret")
    source.at(b"link").symlink_to(tmp_path / "outside")
    source.at(b"inner").symlink_to(source.at(b"in"))
    source.at(b"direct").symlink_to(tmp_path / "outside" / "file")
    async with source.open() as provider:
        for prefix in (
            b"../", b"../beside", b"in/../", b"in/../../", b"link/", b"link/f", b"inner/", b"/", b"./in/", b"in//",
        ):  # fmt: skip
            assert await entries_of(provider, prefix=prefix) == [], prefix
        for key in (
            b"../beside", b"in/../in/file", b"link/file", b"link", b"direct", b"inner/file", b"in", b"./in/file", b"",
            b"\x00",
        ):  # fmt: skip
            assert await provider.stat(key) is None, key


async def test_only_the_folders_of_a_prefix_are_opened(source: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_NAMES", 3)
    for key in (b"a/b/file", *(b"a/full/%d" % number for number in range(5)), *(b"%d" % number for number in range(5))):
        source.write(key, b"1")
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider, prefix=b"a/b")] == [b"a/b/file"]
        with pytest.raises(FatalError):
            await entries_of(provider)


async def test_a_storage_s_folder_that_is_gone_is_no_empty_prefix(source: Folder) -> None:
    async with source.open("nowhere") as provider:
        for options in ({"prefix": b"a/"}, {"prefix": b"../"}, {"prefix": b"a/", "recursive": False}, {"prefix": b"a"}):
            with pytest.raises(FatalError) as caught:
                await entries_of(provider, **options)
            assert caught.value.code is ErrorCode.PROVIDER_NOT_FOUND
        with pytest.raises(FatalError):
            await provider.stat(b"a")


async def test_links_are_neither_listed_nor_followed(source: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"secret")
    await source.put(b"real", b"1")
    (source.path / "link").symlink_to(tmp_path / "secret")
    (source.path / "folder").symlink_to(tmp_path / "outside")
    (source.path / "inner").symlink_to("real")
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == [b"real"]
        for key in (
            b"link",
            b"folder/file",
            b"inner",
            b"../secret",
            b"x/../../secret",
            b"/etc/passwd",
            b"",
            b".",
            b"real/",
            b"a\x00b",
        ):
            with pytest.raises(SkippableError, match="gone"):
                await body_of(provider, key)


async def test_a_storage_folder_reached_by_a_link_is_refused(source: Folder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (source.root / "linked").symlink_to(tmp_path / "outside")
    async with source.open(path="linked") as provider:
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
        checks = await checks_of(provider)
    assert caught.value.code is ErrorCode.PROVIDER_NOT_FOUND
    assert str(tmp_path) not in caught.value.message + (caught.value.hint or "")
    assert [check.status for check in checks.values()] == [CheckStatus.FAILED, CheckStatus.SKIPPED, CheckStatus.SKIPPED]


async def test_a_folder_swapped_for_a_link_after_it_was_listed_is_not_followed(source: Folder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"secret")
    await source.put(b"folder/file", b"mine")
    async with source.open() as provider:
        [entry] = await entries_of(provider)
        (source.path / "folder").rename(source.path / "moved")
        (source.path / "folder").symlink_to(tmp_path / "outside")
        with pytest.raises(SkippableError, match="gone"):
            await body_of(provider, entry.key)
        assert [found.key for found in await entries_of(provider)] == [b"moved/file"]


@pytest.fixture
def special(source: Folder) -> Iterator[None]:
    os.mkfifo(source.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(source.path)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        yield


async def test_pipes_and_sockets_are_neither_listed_nor_opened(source: Folder, special: None) -> None:
    await source.put(b"file", b"1")
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == [b"file"]
        for key in (b"pipe", b"socket"):
            with pytest.raises(SkippableError, match="gone"):
                await body_of(provider, key)


async def test_a_folder_that_cannot_be_read_ends_the_listing(source: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files would count as missing otherwise. The kernel's refusal is played: root is never refused."""
    await source.put(b"a/1", b"1")
    await source.put(b"closed/2", b"2")
    opened = os.open

    def refuse(path: Any, *args: Any, **options: Any) -> int:
        if path == b"closed":
            raise PermissionError(13, "denied")
        return opened(path, *args, **options)

    async with source.open() as provider:
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.code is ErrorCode.PROVIDER_AUTH
    assert "closed" in caught.value.message
    assert str(source.root) not in caught.value.message


async def test_a_folder_that_vanishes_while_it_is_walked_is_empty(
    source: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in (b"a/1", b"b/2", b"c/3"):
        await source.put(key, b"1")
    names = walk._names

    def vanish(folder: Any, prefix: bytes, after: bytes | None) -> Any:
        found = names(folder, prefix, after)
        if prefix == b"a/":
            source.at(b"b/2").unlink()
            source.at(b"b").rmdir()
        return found

    monkeypatch.setattr(walk, "_names", vanish)
    async with source.open() as provider:
        assert [entry.key for entry in await entries_of(provider)] == [b"a/1", b"c/3"]


async def test_the_storage_folder_removed_is_an_error_and_not_empty(source: Folder) -> None:
    async with source.open() as provider:
        source.path.rmdir()
        with pytest.raises(FatalError) as caught:
            await entries_of(provider)
    assert caught.value.code is ErrorCode.PROVIDER_NOT_FOUND


async def rest(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def test_a_file_cut_while_it_is_read(source: Folder) -> None:
    await source.put(b"shrinks", b"x" * (CHUNK * 3))
    async with source.open() as provider, provider.read(b"shrinks") as content:
        chunks = content.chunks()
        await anext(chunks)
        os.truncate(source.at(b"shrinks"), 10)
        with pytest.raises(RetriableError, match="changed"):
            await rest(chunks)


async def test_a_file_rewritten_while_it_is_read(source: Folder) -> None:
    await source.put(b"rewritten", b"x" * (CHUNK * 3))
    async with source.open() as provider, provider.read(b"rewritten") as content:
        chunks = content.chunks()
        await anext(chunks)
        source.write(b"rewritten", b"y" * (CHUNK * 3))
        with pytest.raises(RetriableError, match="changed"):
            await rest(chunks)


async def test_a_rename_over_a_file_changes_its_fingerprint(source: Folder) -> None:
    await source.put(b"a", b"one")
    async with source.open() as provider:
        [before] = await entries_of(provider)
        state = source.at(b"a").stat()
        (source.root / "new").write_bytes(b"two")
        os.utime(source.root / "new", ns=(0, state.st_mtime_ns))
        (source.root / "new").replace(source.at(b"a"))
        [after] = await entries_of(provider)
    assert before.size == after.size
    assert before.modified == after.modified
    assert before.fingerprint != after.fingerprint


async def test_many_files_come_in_pages(source: Folder) -> None:
    keys = [b"%03d/%03d" % (folder, file) for folder in range(5) for file in range(500)]
    for key in keys:
        source.write(key, b"")
    async with source.open() as provider:
        pages = [page async for page in provider.list()]
        assert [len(page.entries) for page in pages] == [1000, 1000, 500]
        assert [entry.key for page in pages for entry in page.entries] == keys
        again = await entries_of(provider, cursor=pages[1].cursor)
        assert [entry.key for entry in again] == keys[2000:]


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_no_descriptor_is_left_open(source: Folder) -> None:
    for number in range(30):
        await source.put(b"deep/" * 20 + b"%d" % number, b"1")
    before = descriptors()
    async with source.open() as provider:
        for entry in await entries_of(provider):
            await body_of(provider, entry.key)
        with pytest.raises(SkippableError):
            await body_of(provider, b"deep/nothing")
        async for _ in provider.list(limit=3):
            break
    assert descriptors() <= before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc", "leading slash"),
        ("../other", "must not contain"),
        ("a/../../b", "must not contain"),
        ("a\x00b", "NUL"),
        ("x" * 5000, "longer"),
        ("\ud800", "no file name"),
    ],
)
def test_paths_that_are_refused(source: Folder, path: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        local.parse({"path": path}, context=source.context())
    assert caught.value.path == ("provider", "local", "path")


def test_a_namespace_without_a_folder(source: Folder) -> None:
    with pytest.raises(InvalidError) as caught:
        local.parse({"path": ""}, context=source.context(local_roots={"other": str(source.root)}))
    assert "SLUICEGATE_LOCAL_ROOTS" in (caught.value.hint or "")


@pytest.mark.parametrize("data_dir", ["root", "root/inside", "root/../root/inside", "."])
def test_the_data_directory_is_never_read(source: Folder, data_dir: str) -> None:
    with pytest.raises(InvalidError, match="overlap"):
        local.parse({"path": ""}, context=source.context(data_dir=str(source.root.parent / data_dir)))


async def test_a_root_taken_away_later_is_fatal_for_the_run(source: Folder) -> None:
    settings = local.parse({"path": "storage"}, context=source.context())
    with pytest.raises(FatalError) as caught:
        async with local.open_provider(settings, source.context(local_roots={})):
            pass
    assert caught.value.code is ErrorCode.PROVIDER_REFUSED


async def test_addresses_are_relative_and_files_have_no_links(source: Folder) -> None:
    async with source.open() as provider:
        assert provider.uri(b"a b/\xff") == "local:///storage/a%20b/%FF"
        assert await provider.temporary_url(b"a", seconds=60) is None


async def test_folders_too_large_or_too_deep_end_the_listing(source: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    await source.put(b"a/b/c/d", b"1")
    await source.put(b"a/b/e", b"1")
    async with source.open() as provider:
        with monkeypatch.context() as patch:
            patch.setattr(walk, "MAX_DEPTH", 3)
            with pytest.raises(FatalError, match="deeper"):
                await entries_of(provider)
        monkeypatch.setattr(walk, "MAX_NAMES", 1)
        with pytest.raises(FatalError, match="more than 1 names"):
            await entries_of(provider)
