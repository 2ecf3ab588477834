"""zstd: several frames, faults, and no more memory than is allowed."""

import json
from itertools import pairwise

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sync_harness import Harness, counts
from tests.sync.test_records import CUTS, read

SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def with_window(body: bytes, bits: int) -> bytes:
    """A frame that says it needs a window of 2 to the power of `bits`; its length is not in it."""
    packer = zstd.ZstdCompressor(
        options={zstd.CompressionParameter.window_log: bits, zstd.CompressionParameter.content_size_flag: 0}
    )
    return packer.compress(body) + packer.flush()


@given(st.lists(st.integers(), max_size=40), st.lists(st.integers(0, 300), max_size=4), CUTS)
def test_frames_are_one_file(values: list[int], places: list[int], cuts: list[int]) -> None:
    body = b"".join(b"%d\n" % value for value in values)
    ends = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    frames = [zstd.compress(body[start:end]) for start, end in pairwise(ends)]
    assert read("a.jsonl.zst", SKIPPABLE.join(frames), cuts) == (values, None)


@given(st.integers(0, 200), CUTS)
def test_cut_short_is_said(length: int, cuts: list[int]) -> None:
    packed = zstd.compress(json.dumps(list(range(100))).encode())
    found, fault = read("a.json.zst", packed[: min(length, len(packed) - 1)], cuts)
    assert fault == ("The zstd stream is cut short." if length else "The file is empty.")
    assert found == list(range(100))[: len(found)]


def test_what_is_not_zstd_is_said() -> None:
    assert read("a.json.zst", b"[1, 2]", [3]) == ([], "Not zstd.")
    assert read("a.jsonl.zst", zstd.compress(b"1\n") + b"2\n3\n4\n5\n", [100]) == (
        [1], "The zstd stream is broken: Unable to decompress Zstandard data: Unknown frame descriptor.",
    )  # fmt: skip


@pytest.mark.parametrize(("bits", "fault"), [(27, None), (28, "A zstd frame needs a window of more than 128 MiB.")])
def test_the_window_is_bounded(bits: int, fault: str | None) -> None:
    assert read("a.jsonl.zst", with_window(b"1\n", bits), [5]) == ([] if fault else [1], fault)


async def test_a_small_file_with_a_large_window_is_read_all_the_same(reads: Harness) -> None:
    reads.s3.store.put(b"8.jsonl.zst", with_window(b"1\n", 23))
    reads.s3.store.put(b"128.jsonl.zst", with_window(b"2\n", 27))
    reads.s3.store.put(b"256.jsonl.zst", with_window(b"3\n", 28))
    sync = await reads.sync()
    assert counts(sync) == {"added": 2, "failed": 1}
    assert await reads.data() == {(b"8.jsonl.zst", 0): 1, (b"128.jsonl.zst", 0): 2}
    assert counts(await reads.sync()) == {"unchanged": 3}
