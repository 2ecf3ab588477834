"""What filters say about how keys start, and how they are stored."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.core.errors import InvalidError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.file_filters import FileFilters, compile_filters
from sluicegate.sync.listing_prefix import literal_prefix


@pytest.mark.parametrize(
    ("rules", "base", "expected"),
    [
        ({}, "", ""),
        ({}, "in/", "in/"),
        ({"include_patterns": ["/raw/2026-*.jpg"]}, "in/", "in/raw/2026-"),
        ({"include_patterns": ["raw/a/*", "raw/abc/**"]}, "", "raw/a"),
        ({"include_patterns": ["/raw/"]}, "", "raw/"),
        ({"include_patterns": ["/raw/a.jpg"]}, "", "raw/a.jpg"),
        ({"include_patterns": [r"a\*/\[b?"]}, "", "a*/[b"),
        # Of the name alone, in any folder: nothing is known of the start.
        ({"include_patterns": ["raw*", "/raw/*"]}, "in/", "in/"),
        ({"include_patterns": ["raw/"]}, "", ""),
        ({"include_patterns": ["[a/]raw"]}, "", ""),
        ({"include_patterns": ["**/raw/*"]}, "", ""),
        # A percent sign may be a byte that no text holds.
        ({"include_patterns": ["/a%FF/*"]}, "50%/", "50%/a"),
        ({"regex": r"in/raw/.*\.jpg"}, "in/", "in/raw/"),
        ({"regex": r"^in/a\.b"}, "in/", "in/a.b"),
        ({"regex": r"in/ab*"}, "", "in/a"),
        ({"regex": r"in/a\.?b"}, "", "in/a"),
        ({"regex": r"in/a|x"}, "in/", "in/"),
        ({"regex": "(?i)in/a"}, "", ""),
        ({"regex": "in"}, "in/", "in/"),
        ({"regex": "a%41b"}, "", "a"),
        ({"regex": "in/raw/2026/", "include_patterns": ["raw/**"]}, "in/", "in/raw/2026/"),
        ({"exclude_patterns": ["/raw/**"], "extensions": ["jpg"]}, "in/", "in/"),
    ],
)  # fmt: skip
def test_the_start_of_what_passes(rules: dict[str, Any], base: str, expected: str) -> None:
    assert literal_prefix(FileFilters(**rules), base) == expected


def test_a_start_is_no_longer_than_a_listing_takes() -> None:
    found = literal_prefix(FileFilters(include_patterns=["/" + "é" * 700 + "/*"]), "in/")
    assert found == "in/" + "é" * 510
    assert len(found.encode()) <= 1_024


SIGNS = st.text(alphabet="aab/.%*?+{}[]()|\\^$1,A", max_size=8)
KEYS = st.lists(st.sampled_from([b"a", b"b", b"/", b".", b"%", b"\xff", b"1", b"A"]), min_size=1, max_size=8)


@given(SIGNS, st.lists(SIGNS, max_size=2), st.sampled_from(["", "a/", "%/"]), st.lists(KEYS, min_size=5, max_size=9))
def test_no_key_that_passes_starts_otherwise(regex: str, globs: list[str], base: str, keys: list[list[bytes]]) -> None:
    rules = FileFilters(regex=regex, include_patterns=globs)
    with suppress(InvalidError):
        filters = compile_filters(rules, base=base, records_only=False, path=())
        prefix = literal_prefix(rules, base).encode()
        for parts in keys:
            key = base.encode() + b"".join(parts)
            if filters.rejects(Entry(key, 1, None, ""), text_of_key(key)) is None:
                assert key.startswith(prefix)


def test_filters_are_stored_under_the_names_of_the_schema() -> None:
    noon = datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))
    given = FileFilters("a.*", ["*.jpg"], (), ["png"], ["video/"], 0, 2**53 - 1, noon, None)
    stored = given.to_json()
    assert stored == {
        "regex": "a.*", "includePatterns": ["*.jpg"], "extensions": ["png"], "mimeTypes": ["video/"],
        "minSizeBytes": 0, "maxSizeBytes": 2**53 - 1, "modifiedAfter": "2026-01-31T12:00:00+00:00",
    }  # fmt: skip
    read = FileFilters.from_json(stored)
    assert read.to_json() == stored
    assert read.modified_after == noon.astimezone(UTC)
    assert FileFilters.from_json({}) == FileFilters()
    assert FileFilters(regex="", include_patterns=[]).to_json() == {}
