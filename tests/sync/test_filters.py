"""Filters and the merge join against what they should be, found out the slow way."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.core.errors import InvalidError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync import merge as merging
from sluicegate.sync.filters import Filters, regex_rule, rejected

KEYS = st.lists(st.binary(min_size=1, max_size=2), unique=True, max_size=30).map(sorted)
Known = tuple[bytes, str]


@given(st.text(max_size=30) | st.text(alphabet="()[]{}*+?|\\^$.-,:<>=!PpZzQE019aA\x00\ud800", max_size=30), st.binary())
def test_any_pattern_compiles_or_is_invalid(pattern: str, key: bytes) -> None:
    with suppress(InvalidError):
        filters = Filters((regex_rule(pattern),))
        assert filters.rejects(Entry(key, 1, None, ""), text_of_key(key)) in (None, "regex")


@given(KEYS, KEYS, st.integers(1, 6), st.binary(max_size=1), st.none() | st.binary(min_size=1, max_size=2))
def test_the_merge_pairs_every_key_once(
    listed: list[bytes], known: list[bytes], limit: int, after: bytes, upto: bytes | None
) -> None:
    entries = [Entry(key, 1, None, "") for key in listed if key > after and (upto is None or key <= upto)]

    async def fetch(start: bytes, bound: bytes | None) -> list[Known]:
        return [(key, "") for key in known if key > start and (bound is None or key <= bound)][:limit]

    async def run() -> list[tuple[Sequence[Entry], list[Known], bytes]]:
        return [piece async for piece in merging.merge(entries, after, upto, fetch)]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(merging, "RANGE_LIMIT", limit)
        pieces = asyncio.run(run())
    assert [entry for part, _, _ in pieces for entry in part] == entries
    assert [key for _, part, _ in pieces for key, _ in part] == [
        key for key in known if key > after and (upto is None or key <= upto)
    ]
    start = after
    for part, held, last in pieces:
        for key in [entry.key for entry in part] + [key for key, _ in held]:
            assert start < key <= last, "a key outside of its piece"
        assert last >= start
        start = last


async def test_others_run_while_a_costly_rule_goes_over_a_page() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def costly(_: Entry, path: str) -> bool:
        until = monotonic() + 0.005
        while monotonic() < until:
            pass
        return path.endswith("0")

    entries = [Entry(b"%02d" % number, 1, None, "f") for number in range(20)]
    running = asyncio.create_task(others())
    left_out = await rejected(Filters((("costly", costly),)), entries)
    running.cancel()
    assert set(left_out) == {entry.key for entry in entries if not entry.key.endswith(b"0")}
    assert turns >= 4
