"""The readers of records against the standard library, whatever the text and however it is cut."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluicegate.core.errors import SkippableError
from sluicegate.core.text import MAX_JSON_DEPTH, json_text
from sluicegate.sync import records
from sluicegate.sync.readers import base
from sluicegate.sync.records import reader_for

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=15,
)
CUTS = st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=20)


def in_pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    """The body cut into pieces of these lengths, over and over."""
    pieces: list[bytes] = []
    start = 0
    while start < len(body):
        length = cuts[len(pieces) % len(cuts)]
        pieces.append(body[start : start + length])
        start += length
    return pieces


def read(name: str, body: bytes, cuts: list[int]) -> tuple[list[Any], str | None]:
    """The records, and the message of the fault that ends them."""

    async def run() -> tuple[list[Any], str | None]:
        async def chunks() -> AsyncIterator[bytes]:
            for piece in in_pieces(body, cuts):
                yield piece

        found: list[Any] = []
        try:
            async for record in records.read_records(reader_for(name), chunks()):
                found.append(record)  # noqa: PERF401 - what came before an error is wanted
        except SkippableError as error:
            return found, error.message
        return found, None

    return asyncio.run(run())


def packed(name: str, body: bytes, members: int) -> tuple[str, bytes]:
    """The file as it is, or gzipped in so many members."""
    if not members:
        return name, body
    length = max(1, -(-len(body) // members))
    parts = [body[start : start + length] for start in range(0, len(body), length)] or [b""]
    return name + ".gz", b"".join(map(gzip.compress, parts))


def same(found: Any, expected: Any) -> bool:
    """Equal, 1 and 1.0 and True told apart."""
    return repr(found) == repr(expected)


@given(st.lists(VALUES, max_size=6), CUTS, st.sampled_from([None, 1]), st.booleans(), st.integers(0, 2), st.booleans())
def test_any_array_in_any_pieces(
    values: list[Any], cuts: list[int], indent: int | None, ascii_only: bool, members: int, mark: bool
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "replace")
    name, packed_body = packed("a.json", b"\xef\xbb\xbf" * mark + body, members)
    found, fault = read(name, packed_body, cuts)
    assert fault is None
    assert same(found, json.loads(body))


@given(VALUES.filter(lambda value: not isinstance(value, list)), CUTS)
def test_any_single_record(value: Any, cuts: list[int]) -> None:
    body = json.dumps(value).encode()
    found, fault = read("a.JSON", b" \n" + body + b"\r\n", cuts)
    assert fault is None
    assert same(found, [json.loads(body)])


@given(st.lists(VALUES, max_size=8), CUTS, st.sampled_from([b"\n", b"\r\n", b"\n\n  \n"]), st.integers(0, 2))
def test_any_lines(values: list[Any], cuts: list[int], end: bytes, members: int) -> None:
    body = end.join(json.dumps(value).encode() for value in values)
    found, fault = read(*packed("a.jsonl", body, members), cuts)
    assert fault is None
    assert same(found, [json.loads(json.dumps(value)) for value in values])


@settings(max_examples=300)
@given(
    st.lists(VALUES, min_size=1, max_size=5), st.integers(0, 400), st.binary(max_size=3), st.integers(0, 3), CUTS,
    st.sampled_from(["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"]),
)  # fmt: skip
@example([1], 2, b".", 0, [40], "a.json")
@example([12], 2, b"", 1, [1], "a.json")
@example([None], 6, b"\x80", 0, [40], "a.json")
@example([1], 1, b"[" * 3, 0, [3], "a.json")
def test_a_fault_anywhere_ends_in_one_kind_of_error(
    values: list[Any], at: int, put: bytes, removed: int, cuts: list[int], name: str
) -> None:
    line = name.startswith("a.jsonl")
    body = b"\n".join(json.dumps(value).encode() for value in values) if line else json.dumps(values).encode()
    body = gzip.compress(body, mtime=0) if name.endswith(".gz") else body
    at %= len(body) + 1
    spoiled = body[:at] + put + body[at + removed :]
    found, fault = read(name, spoiled, cuts)
    whole, whole_fault = read(name, spoiled, [len(spoiled) or 1])
    assert (fault is None) == (whole_fault is None)
    # Where zlib meets the fault, it keeps back what it had already inflated of that piece.
    shorter = min(len(found), len(whole)) if name.endswith(".gz") and fault is not None else None
    assert same(found[:shorter], whole[:shorter]), "cut otherwise it has other records"
    if name == "a.json":
        try:
            text = spoiled.decode("utf-8-sig")
            expected = json.loads(text, parse_constant=pytest.fail)
        except (ValueError, pytest.fail.Exception):
            assert fault is not None
            assert_prefix(spoiled, found)
        else:
            assert fault is None
            assert same(found, expected if isinstance(expected, list) else [expected])


def assert_prefix(text: bytes, found: list[Any]) -> None:
    """What was found is how the text begins: some of its beginnings, closed, are a list of just these."""
    beginnings = (text[:end].decode("utf-8-sig", "replace") for end in range(len(text) + 1))
    if found and not any(_is_list(start + "]", found) or _is_list(f"[{start}]", found) for start in beginnings):
        pytest.fail(f"{found} is not how {text!r} begins")


def _is_list(text: str, expected: list[Any]) -> bool:
    try:
        return same(json.loads(text), expected)
    except ValueError:
        return False


@given(st.binary(max_size=200), CUTS, st.sampled_from(["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"]))
def test_any_bytes_end_in_one_kind_of_error(body: bytes, cuts: list[int], name: str) -> None:
    read(name, body, cuts)


@pytest.mark.parametrize("length", [7_900, 8_100, 15_900, 16_000])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_record_may_be_as_long_as_the_limit(monkeypatch: pytest.MonkeyPatch, name: str, length: int) -> None:
    monkeypatch.setattr(base, "MAX_RECORD_BYTES", 16_000)
    record = "x" * (length - 2)
    body = json.dumps(record).encode()
    body = b"[1, " + body + b"]" if name == "a.json" else b"1\n" + body
    for cut in (700, 1_000, 3_333, 16_000, 20_000):
        assert read(name, body, [cut]) == ([1, record], None), cut
    longer = body.replace(b'"x', b'"' + b"x" * (16_001 - length) + b"x")
    for cut in (700, 1_000, 3_333, 16_000, 20_000):
        found, fault = read(name, longer, [cut])
        assert (found, fault is not None and "longer than" in fault) == ([1], True), cut


@pytest.mark.parametrize(
    ("name", "body"),
    [("a.json.gz", b" " * (64 << 20) + b"1"), ("a.jsonl.gz", b"\n" * (16 << 20)), ("a.jsonl.gz", b"1\n" * 200_000)],
    ids=["spaces", "blank lines", "rows"],
)
async def test_much_from_little_lets_others_run(name: str, body: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield gzip.compress(body, compresslevel=1)

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counter = asyncio.create_task(others())
    found = 0
    async for record in records.read_records(reader_for(name), chunks()):
        assert record == 1
        found += 1
    counter.cancel()
    assert found == body.count(b"1")
    assert turns > 5


@given(st.integers(0, 90), st.booleans(), st.booleans())
@example(64, False, False)
@example(65, False, False)
@example(65, True, True)
def test_a_record_is_only_so_deep_that_it_can_be_given_back(depth: int, objects: bool, nul: bool) -> None:
    inner = '"\\\\u0000"' if nul else "1"
    value = json.loads('{"a":' * depth + inner + "}" * depth if objects else "[" * depth + inner + "]" * depth)
    if depth <= MAX_JSON_DEPTH:
        assert json.loads(json_text([value] if depth < MAX_JSON_DEPTH else value)) is not None
    else:
        with pytest.raises(SkippableError, match="deeper"):
            json_text(value)
