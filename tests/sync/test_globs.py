"""Globs as rules, by example and against a matcher that tries everything."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.core.clock import to_micros
from sluicegate.core.errors import InvalidError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.file_filters import FileFilters, base_of_prefix, compile_filters
from sluicegate.sync.glob_forms import glob_matcher
from sluicegate.sync.globs import alternation
from sluicegate.sync.linear import linear

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def verdict(path: str, *, base: str = "", size: int | None = 1, at: datetime | None = NOON, **rules: Any) -> str | None:
    """The rule that leaves the object out."""
    mime = rules.pop("mime", None)
    filters = compile_filters(FileFilters(**rules), base=base, records_only=False, path=("fileFilters",))
    key = path.encode()
    return filters.rejects(Entry(key, size, None if at is None else to_micros(at), "", None, mime), text_of_key(key))


def matches(glob: str, path: str, base: str = "") -> bool:
    """As an include and as an exclude pattern: always the opposite."""
    taken = verdict(path, base=base, include_patterns=[glob])
    left = verdict(path, base=base, exclude_patterns=[glob])
    assert (taken, left) in ((None, "exclude_patterns"), ("include_patterns", None))
    return taken is None


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        # Without a slash: the name, in any folder.
        ("*.jpg", ["a.jpg", ".jpg", "x/y/a.jpg", "a\nb.jpg"], ["a.JPG", "a.jpgs", "a.jpg/b"]),
        ("a?c", ["abc", "x/aéc", "a\nc", "a👋c"], ["ac", "abbc", "a/c"]),
        ("logs", ["logs", "x/logs"], ["logs/a", "mylogs"]),
        ("**.jpg", ["a.jpg", "x/y.jpg"], ["a.png"]),
        # With one: the path.
        ("/*.jpg", ["a.jpg"], ["x/a.jpg"]),
        ("x/*.jpg", ["x/a.jpg"], ["x/y/a.jpg", "z/x/a.jpg", "x\\a.jpg"]),
        ("x/**", ["x/a", "x/y/a"], ["x", "xa", "z/x/a"]),
        ("**/x/*", ["x/a", "y/z/x/a"], ["yx/a", "x/a/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "b"]),
        ("a**b/c", ["ab/c", "a/x/b/c"], ["a/b/d"]),
        ("***/a", ["a", "x/y/a"], ["ba"]),
        # One at the end: folders.
        ("logs/", ["logs/a", "x/logs/y/a"], ["logs", "mylogs/a"]),
        ("/logs/", ["logs/a", "logs/x/a"], ["x/logs/a"]),
        ("**/", ["x/a", "x/y/a"], ["a"]),
        # Classes never match a slash.
        ("[a-c]", ["b", "x/b"], ["d", "B", "-"]),
        ("[!a-c]", ["d", "\n"], ["b", ""]),
        ("[^a]", ["b"], ["a"]),
        ("a[!b]c", ["axc"], ["a/c", "abc"]),
        ("a[+-9]c", ["a+c", "a.c", "a0c", "a9c"], ["a/c", "a:c"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[a-]", ["a", "-"], ["b"]),
        (r"[\]\-\\]", ["]", "-", "\\"], ["a"]),
        ("[a]x[:b]", ["ax:", "axb"], ["ax"]),
        # Braces, nested and empty ones too.
        ("*.{jpg,png}", ["a.jpg", "x/a.png"], ["a.gif", "a.jpg,png"]),
        ("a{b,{c,d}?,}e", ["abe", "acxe", "adxe", "ae"], ["ace"]),
        ("a,b", ["a,b"], ["a", "b"]),
        # What would mean something to a regex is itself.
        (r"a.b+(c|d)^$ #\{\}\*\[\!\?\\", [r"a.b+(c|d)^$ #{}*[!?" + "\\"], [r"axb+(c|d)^$ #{}*[!?" + "\\"]),
        (r"\!a", ["!a"], ["a"]),
        ("a\nb", ["a\nb"], ["a b", "ab"]),
        ("ÄÖ-%-👋", ["ÄÖ-%-👋"], ["äö-%-👋"]),
    ],
)
def test_globs_by_example(glob: str, taken: list[str], left: list[str]) -> None:
    assert [path for path in taken if not matches(glob, path)] == []
    assert [path for path in left if matches(glob, path)] == []


def test_globs_are_relative_to_the_folder_of_the_prefix() -> None:
    base = base_of_prefix("in.x/50%/2026-")
    assert base == "in.x/50%/"
    assert matches("/2026-1.jpg", "in.x/50%/2026-1.jpg", base)
    assert matches("2026-*/**", "in.x/50%/2026-1/a", base)
    assert not matches("in.x/**", "in.x/50%/2026-1.jpg", base)
    assert not matches("2026-1.jpg", "inyx/50%/2026-1.jpg", base)
    strange = b"in.x/50%/\xff.jpg"
    only = compile_filters(FileFilters(include_patterns=["/*.jpg"]), base=base, records_only=False, path=())
    assert only.rejects(Entry(strange, 1, None, ""), text_of_key(strange)) is None
    assert (base_of_prefix(""), base_of_prefix("photos")) == ("", "")
    for glob, path, expected in (
        ("in/", "x/in/a", False), ("in/", "x/in/in/a", True), ("in/", "x/in/b/in/a", True), ("a", "x/in/a", True),
        ("*", "x/in/a", True), ("a/**", "x/in/a/b", True), ("in/**", "x/in/a", False), ("*.a", "y/in/b.a", False),
    ):  # fmt: skip
        assert matches(glob, path, "x/in/") == expected, glob


def test_several_patterns_are_one_or_the_other() -> None:
    rules: dict[str, Any] = {"include_patterns": ["*.jpg", "raw/**"], "exclude_patterns": ["tmp/", "*_thumb.*", "a|b"]}
    assert verdict("raw/a.cr2", **rules) is None
    assert verdict("x/a.jpg", **rules) is None
    assert verdict("a.cr2", **rules) == "include_patterns"
    assert verdict("raw/tmp/a.cr2", **rules) == "exclude_patterns"
    assert verdict("a_thumb.jpg", **rules) == "exclude_patterns"


@pytest.mark.parametrize(
    ("rule", "rules", "passing", "left"),
    [
        ("extensions", {"extensions": ["JPG", ".tar.GZ"]}, ["a.jpg", "x/A.Jpg", "a.tar.gz", "b.TAR.gz"],
         ["a.gz", "ajpg", "a.jpg.txt", "jpg"]),
        ("mime_types", {"mime_types": ["video/", "Image/*", "text/csv"]}, ["a.mp4", "a.PNG", "a.csv"],
         ["a.txt", "a.json", "unknown", "a.zzz"]),
        ("regex", {"regex": r"x/.*\.jpg$"}, ["x/a.jpg"], ["y/x/a.jpg", "x/a.jpgs"]),
    ],
)  # fmt: skip
def test_rules_of_names(rule: str, rules: dict[str, Any], passing: list[str], left: list[str]) -> None:
    assert [verdict(path, **rules) for path in passing] == [None] * len(passing)
    assert [verdict(path, **rules) for path in left] == [rule] * len(left)


def test_the_type_of_the_listing_goes_before_the_extension() -> None:
    rules: dict[str, Any] = {"mime_types": ["video/", "text/plain"]}
    assert verdict("a.txt", mime="Video/MP4", **rules) is None
    assert verdict("a", mime="text/plain; charset=utf-8", **rules) is None
    assert verdict("a.mp4", mime="image/png", **rules) == "mime_types"
    assert verdict("a.mp4", mime="videos/mp4", **rules) == "mime_types"


def test_bounds_are_included_and_the_unknown_passes() -> None:
    for size, expected in ((9, "min_size_bytes"), (10, None), (20, None), (21, "max_size_bytes"), (None, None)):
        assert verdict("a", size=size, min_size_bytes=10, max_size_bytes=20) == expected
    later = NOON + SECOND
    for at, expected in (
        (NOON - SECOND / 1000, "modified_after"), (NOON, None), (later, None),
        (later + SECOND / 1000, "modified_before"), (None, None),
    ):  # fmt: skip
        assert verdict("a", at=at, modified_after=NOON, modified_before=later) == expected
    assert verdict("a", size=0, max_size_bytes=0) is None
    assert verdict("a", size=1, max_size_bytes=0) == "max_size_bytes"


def test_no_rule_is_no_work() -> None:
    empty = FileFilters(regex="", include_patterns=[], extensions=[])
    assert compile_filters(empty, base="", records_only=False, path=()).rules == ()


@pytest.mark.parametrize(
    ("given_rules", "place"),
    [
        ({"include_patterns": ["a"] * 101}, ["includePatterns"]),
        ({"include_patterns": ["ok", "a" * 1_025]}, ["includePatterns", "1"]),
        *(({"exclude_patterns": [glob]}, ["excludePatterns", "0"]) for glob in (
            "", "/", "//", "!a", "[a", "[", "[]", "[!]", "[b-a]", "[/]", "[[:alpha:]]", "{a", "a}", "{a/b,c}", "{**,a}",
            "a\\", "[a\\", "*a" * 17, "{a,b}" * 17, "a\x00", "\ud800",
        )),
        ({"include_patterns": [f"{number}" + "?" * 1_000 for number in range(100)]}, ["includePatterns"]),
        ({"include_patterns": ["{" * 512 + "a" + "}" * 511]}, ["includePatterns", "0"]),
        *(({"extensions": ["a", value]}, ["extensions", "1"]) for value in ("", ".", "*.jpg", "a/b", "\x00")),
        ({"extensions": ["a"] * 101}, ["extensions"]),
        *(({"mime_types": [value]}, ["mimeTypes", "0"]) for value in ("", "video", "*/*", "a/b/c", "a/b;c=d", "/")),
        ({"min_size_bytes": -1}, ["minSizeBytes"]),
        ({"max_size_bytes": -1}, ["maxSizeBytes"]),
        ({"min_size_bytes": 2, "max_size_bytes": 1}, ["minSizeBytes"]),
        ({"modified_after": NOON + SECOND, "modified_before": NOON}, ["modifiedAfter"]),
        ({"regex": "(?=a)"}, ["regex"]),
        ({"regex": "a\x00"}, ["regex"]),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_said_with_its_place(given_rules: dict[str, Any], place: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        verdict("a", **given_rules)
    assert list(caught.value.path) == ["fileFilters", *place]
    if place[-1] not in ("regex", "1", "extensions"):
        assert caught.value.hint


# A glob of the oracle is a list of parts; what a part may take of the path's start is found by trying.
PLAIN = st.sampled_from("ab/.-\n,é(|^$+")
PARTS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), PLAIN),
        st.tuples(st.sampled_from(["*", "**", "?"]), st.just("")),
        st.tuples(st.sampled_from(["[]", "[!]"]), st.text(alphabet="ab.\n|^+", min_size=1, max_size=3)),
        st.tuples(st.just("{}"), st.lists(st.text(alphabet="ab.", max_size=2), min_size=1, max_size=3).map(tuple)),
    ),
    min_size=1,
    max_size=7,
).filter(lambda parts: all(one[0] not in "**" or two[0] not in "**" for one, two in pairwise(parts)))


def written(parts: list[tuple[str, Any]]) -> str:
    def part(kind: str, value: Any) -> str:
        if kind in ("[]", "[!]"):
            return "[" + ("!" if kind == "[!]" else "") + "".join(f"\\{char}" for char in value) + "]"
        return {"text": value, "{}": "{" + ",".join(value) + "}"}.get(kind, kind)

    return "".join(part(*each) for each in parts)


def oracle(parts: list[tuple[str, Any]], path: str) -> bool:
    slash = ("text", "/")
    folder = parts[-1] == slash
    parts = parts[: len(parts) - folder]
    rooted = parts[0] == slash
    parts = parts[rooted:]
    anywhere = not rooted and slash not in parts
    # The slash of a folder makes no `**/` of what stands before it, which may be no folder at all.
    parts = [*parts, ("end", "/"), ("**", "")] if folder else parts

    def ends(kind: str, value: Any, at: int) -> Iterator[int]:
        rest = path[at:]
        if kind in ("*", "**"):
            yield from (at + n for n in range(len(rest) + 1) if kind == "**" or "/" not in rest[:n])
        elif kind == "?":
            yield from [at + 1] if rest and rest[0] != "/" else []
        elif kind in ("[]", "[!]"):
            yield from [at + 1] if rest and rest[0] != "/" and (rest[0] in value) == (kind == "[]") else []
        else:
            yield from (at + len(each) for each in (value if kind == "{}" else [value]) if rest.startswith(each))

    @cache
    def match(number: int, at: int) -> bool:
        if number == len(parts):
            return at == len(path)
        start_of_folder = number == 0 or parts[number - 1] == slash
        if parts[number][0] == "**" and start_of_folder and parts[number + 1 : number + 2] == [slash]:
            places = [at, *(n + 1 for n in range(at, len(path)) if path[n] == "/")]
            return any(match(number + 2, place) for place in places)
        return any(match(number + 1, end) for end in ends(*parts[number], at))

    starts = [0, *(n + 1 for n, char in enumerate(path) if anywhere and char == "/")]
    return any(match(0, start) for start in starts)


WILD = {"*": st.text(alphabet="ab.é\n", max_size=2), "**": st.text(alphabet="ab./", max_size=4), "?": PLAIN}
BASES = st.sampled_from(["", "a/", "b/a/", "50%/", "a"])


@st.composite
def near_paths(draw: st.DrawFn, parts: list[tuple[str, Any]]) -> str:
    """A path that the glob was made for, mostly, with up to two characters changed."""
    pieces: list[str] = []
    for kind, value in parts:
        if kind in ("[]", "{}"):
            pieces.append(draw(st.sampled_from(value)))
        else:
            pieces.append(value if kind == "text" else draw(WILD.get(kind, PLAIN)))
    path = "".join(pieces).removeprefix("/")
    path = draw(st.sampled_from(["", "", "a/", "x/b/"])) + path + ("a" if path.endswith("/") else "")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(path)))
        path = path[:at] + draw(st.just("") | PLAIN) + path[at + draw(st.integers(0, 1)) :]
    return path or "a"


@given(st.data(), PARTS, BASES)
def test_globs_match_what_trying_everything_finds(data: st.DataObject, parts: list[tuple[str, Any]], base: str) -> None:
    glob = written(parts)
    if glob.strip("/") == "":
        return
    for _ in range(4):
        path = data.draw(near_paths(parts))
        assert matches(glob, base + path, base) == oracle(parts, path), (glob, path)


LITERAL = st.text(alphabet="ab.-é %\n", min_size=1, max_size=4)
COMMON = st.one_of(
    LITERAL,
    LITERAL.map("*{}".format),
    LITERAL.map("{}/".format),
    st.lists(LITERAL, min_size=1, max_size=3).map(lambda texts: "*.{" + ",".join(texts) + "}"),
    st.lists(LITERAL, min_size=1, max_size=2).map(lambda texts: "/".join(texts) + "/**"),
    st.sampled_from(["*", "**", "/**", "a/*", "/*.a", "*.{a,b}.b", "*{,a}", "a", "a/", "b/"]),
)
FOLDERS = st.lists(LITERAL, max_size=3).map("/".join)


@given(st.data(), st.lists(COMMON, min_size=1, max_size=4), BASES)
def test_common_globs_are_compared_as_text_to_the_same_end(data: st.DataObject, globs: list[str], base: str) -> None:
    quick = glob_matcher(globs, base, memory=1 << 20)
    general = linear(alternation(globs, base)).fullmatch
    ends = st.sampled_from([part for glob in globs for part in re.split(r"[*{},]+", glob)])
    for _ in range(4):
        path = data.draw(FOLDERS) + data.draw(st.sampled_from(["", "/"])) + data.draw(ends) + data.draw(FOLDERS)
        for whole in (base + path, path, base):
            assert quick(whole) == general(whole), (globs, whole)


@given(st.text(max_size=30) | st.text(alphabet="*?[]{}!^-,/\\ab\x00\ud800", max_size=20), st.binary(max_size=10))
def test_any_text_is_a_glob_or_invalid(glob: str, key: bytes) -> None:
    with suppress(InvalidError):
        filters = compile_filters(FileFilters(include_patterns=[glob]), base="", records_only=False, path=())
        assert filters.rejects(Entry(key, 1, None, ""), text_of_key(key)) in (None, "include_patterns")
