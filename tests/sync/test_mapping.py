"""What a mapping makes of an object: by example, and against a plain reading of what it says."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.core.errors import ErrorCode, SkippableError
from sluicegate.core.text import text_of_key
from sluicegate.sync.mapping import Mapped, compile_mapping
from sluicegate.sync.mapping_schema import MAX_FIELDS

PATH = "in/raw/2026/IMG_0042 é.jpg"
RECORD = {
    "title": " Dove ",
    "n": 7,
    "extra": '{"a": [1, 2.5]}',
    "none": None,
    "link": "https://cdn.example/x/y.MP4?v=1#t",
}
TAGS = {"category": "Bird", "empty": "", "odd": 'a "quote" \n é'}
METADATA = {"camera": "Z9", "link": "s3://other/k.csv"}


def field(target: str, kind: str, *, key: str | None = None, **rest: Any) -> dict[str, Any]:
    source: dict[str, Any] = {"type": kind, "key": key}
    source |= {name: rest.pop(name) for name in ("pattern", "segment", "value") if name in rest}
    return {"target": target, "targetType": "FIELD", "source": source, **rest}


def blob(target: str, kind: str, *, key: str | None = None, **rest: Any) -> dict[str, Any]:
    return {"target": target, "targetType": "BLOB", "source": {"type": kind, "key": key}, **rest}


def mapped(*mappings: dict[str, Any], path: str = PATH, base: str = "in/", schema: Any = None, **given: Any) -> Mapped:
    mapper = compile_mapping({"mappings": list(mappings)}, base=base, object_schema=schema)
    values: dict[str, Any] = {"record": RECORD, "tags": TAGS, "metadata": METADATA, **given}
    return mapper.map(path, **values)


def fields(*mappings: dict[str, Any], **given: Any) -> Any:
    found = mapped(*mappings, **given)[0]
    return None if found is None else json.loads(found)


def blobs(*mappings: dict[str, Any], **given: Any) -> Any:
    found = mapped(*mappings, **given)[1]
    return None if found is None else json.loads(found)


def test_no_more_of_a_large_record_is_made_than_is_taken() -> None:
    class Counting(dict[str, Any]):
        asked = 0

        def get(self, key: str, default: Any = None, /) -> Any:
            self.asked += 1
            return super().get(key, default)

    mapper = compile_mapping(
        {"mappings": [field(f"f{number}", "COLUMN", key="c") for number in range(100)]}, base="", object_schema=None
    )
    record = Counting(c="x" * (MAX_FIELDS - 100))
    with pytest.raises(SkippableError) as caught:
        mapper.map("a", record)
    assert (caught.value.code, record.asked) == (ErrorCode.LIMIT, 2)


def test_a_text_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(SkippableError) as caught:
        mapped(field("f", "COLUMN", key="c", transforms=["JSON_PARSE"]), record={"c": " " * MAX_FIELDS + "1"})
    assert caught.value.code == ErrorCode.LIMIT


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (field("f", "TAG", key="category"), "Bird"),
        (field("f", "TAG", key="empty", required=True, default="x"), ""),
        (field("f", "TAG", key="odd"), 'a "quote" \n é'),
        (field("f", "TAG", key="Category"), None),
        (field("f", "TAG", key="gone", default=[1, None]), [1, None]),
        (field("f", "METADATA", key="camera"), "Z9"),
        (field("f", "METADATA", key="x-amz-meta-Camera"), "Z9"),
        (field("f", "COLUMN", key="title"), " Dove "),
        (field("f", "COLUMN", key="n"), 7),
        (field("f", "COLUMN", key="none"), None),
        (field("f", "COLUMN", key="none", default=0), 0),
        (field("f", "CONSTANT", value={"a": [True]}), {"a": [True]}),
        (field("f", "CONSTANT", value=False), False),
        # Looked for anywhere in the name, never in the folders.
        (field("f", "FILENAME_REGEX", pattern=r"_(\d+)"), "0042"),
        (field("f", "FILENAME_REGEX", pattern=r"^(IMG|DSC)_"), "IMG"),
        (field("f", "FILENAME_REGEX", pattern=r" (.)\."), "é"),
        (field("f", "FILENAME_REGEX", pattern="(raw)"), None),
        (field("f", "FILENAME_REGEX", pattern="IMG(x)?"), None),
        (field("f", "FILENAME_REGEX", pattern="IMG(x*)"), ""),
        (field("f", "FILENAME_REGEX", pattern="(x)", default="-"), "-"),
        (field("f", "FILENAME_REGEX", pattern=r" (\C)"), "\ufffd"),
        # Below the source path.
        (field("f", "FOLDER_PATH", segment=0), "raw"),
        (field("f", "FOLDER_PATH", segment=1), "2026"),
        (field("f", "FOLDER_PATH", segment=-1), "2026"),
        (field("f", "FOLDER_PATH", segment=-2), "raw"),
        (field("f", "FOLDER_PATH", segment=2), None),
        (field("f", "FOLDER_PATH", segment=-3), None),
        (field("f", "FOLDER_PATH"), "raw/2026"),
        # In the given order; what is no text stays as it is.
        (field("f", "TAG", key="category", transforms=["UPPERCASE"]), "BIRD"),
        (field("f", "COLUMN", key="title", transforms=["TRIM", "LOWERCASE"]), "dove"),
        (field("f", "COLUMN", key="n", transforms=["TRIM", "JSON_PARSE"]), 7),
        (field("f", "COLUMN", key="extra", transforms=["JSON_PARSE", "UPPERCASE"]), {"a": [1, 2.5]}),
        (field("f", "COLUMN", key="extra", transforms=["UPPERCASE", "JSON_PARSE"]), {"A": [1, 2.5]}),
        (field("f", "FILENAME_REGEX", pattern=r"_(\d)", transforms=["JSON_PARSE"]), 0),
        (field("f", "TAG", key="gone", transforms=["UPPERCASE"], default="x"), "x"),
    ],
)  # fmt: skip
def test_fields_by_example(mapping: dict[str, Any], expected: Any) -> None:
    assert fields(mapping) == (None if expected is None else {"f": expected})


def test_fields_stand_together_and_may_be_none() -> None:
    both = [field("a", "CONSTANT", value=1), field("b", "TAG", key="category"), field('"c', "FOLDER_PATH", segment=0)]
    assert fields(*both) == {"a": 1, "b": "Bird", '"c': "raw"}
    assert fields(*both, tags={}, path="in/x.jpg") == {"a": 1}
    assert fields(*both[1:], tags=None, record=None, metadata=None, path="in/x.jpg") is None
    assert fields(field("f", "COLUMN", key="title"), record=["title"]) is None


def test_folders_of_keys_that_are_no_text_are_found_behind_the_same_source_path() -> None:
    path = text_of_key(b"50%/a/b/\xff.jpg")
    assert path.startswith("50%25/")
    assert fields(field("f", "FOLDER_PATH"), path=path, base="50%/") == {"f": "a/b"}
    assert fields(field("f", "FOLDER_PATH", segment=0), path="50%/a/x", base="50%/") == {"f": "a"}
    assert fields(field("f", "FOLDER_PATH", default="top"), path="50%/x", base="50%/") == {"f": "top"}
    assert fields(field("f", "FOLDER_PATH"), path="a/x", base="") == {"f": "a"}
    assert fields(field("f", "FOLDER_PATH", segment=-1), path="a//x", base="") is None


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (field("f", "TAG", key="gone", required=True), "'f' is required, and the object has no value in the tag"),
        (field("f", "COLUMN", key="none", required=True), "the column 'none'"),
        (field("f", "METADATA", key="gone", required=True), "the metadata 'gone'"),
        (field("f", "FOLDER_PATH", segment=5, required=True), "no folder 5"),
        (field("f", "FILENAME_REGEX", pattern="(x)", required=True), "a name that the pattern does not match"),
        (field("f", "TAG", key="category", transforms=["JSON_PARSE"]), "The value of 'f' is no JSON"),
        (field("f", "TAG", key="nan", transforms=["JSON_PARSE"]), "NaN is not JSON"),
        (field("f", "TAG", key="big", transforms=["JSON_PARSE"]), "value of 'f' contains inf"),
        (field("f", "TAG", key="digits", transforms=["JSON_PARSE"]), "is no JSON"),
        (field("f", "TAG", key="deep", transforms=["JSON_PARSE"]), "nested deeper than 64 levels"),
        (field("f", "TAG", key="deeper", transforms=["JSON_PARSE"]), "nested too deeply"),
        (field("f", "TAG", key="surrogate", transforms=["JSON_PARSE"]), "lone surrogate"),
        (field("f", "TAG", key="nul"), "NUL character"),
        (field("f", "COLUMN", key="nan"), "contains nan"),
        (field("f", "COLUMN", key="long"), "at most 1,048,576"),
        (blob("b", "TAG", key="gone", required=True), "'b' is required"),
        (blob("b", "COLUMN", key="n"), "The value of 'b' is no URL"),
        *((blob("b", "TAG", key=key), "The value of 'b' is no URL") for key in ("category", "js", "bare", "control")),
        (blob("b", "COLUMN", key="surrogate"), "The URL contains a lone surrogate"),
    ],
)  # fmt: skip
def test_an_object_that_cannot_be_mapped_fails_alone(mapping: dict[str, Any], says: str) -> None:
    tags = {
        **TAGS, "nan": "NaN", "big": "1e999", "deep": "[" * 65 + "]" * 65, "deeper": "[" * 100_000,
        "digits": "1" * 5_000, "surrogate": r'"\ud800"', "nul": "a\x00b", "js": "javascript:alert(1)",
        "bare": "https://", "control": "https://a/\x07",
    }  # fmt: skip
    record = {**RECORD, "nan": float("nan"), "long": "x" * (1 << 20), "surrogate": "s3://a/\ud800"}
    with pytest.raises(SkippableError) as caught:
        mapped(mapping, tags=tags, record=record)
    assert says in caught.value.message
    assert caught.value.code is (ErrorCode.LIMIT if "at most 1,048,576" in says else ErrorCode.INVALID)


def test_blobs_are_the_file_and_urls() -> None:
    file = blob("image", "FILE")
    link = blob("clip", "COLUMN", key="link")
    assert blobs(file) == [{"name": "image", "type": "IMAGE", "uri": None}]
    assert blobs(file, link, blob("table", "METADATA", key="link", blobType="DOCUMENT")) == [
        {"name": "image", "type": "IMAGE", "uri": None},
        {"name": "clip", "type": "VIDEO", "uri": RECORD["link"]},
        {"name": "table", "type": "DOCUMENT", "uri": "s3://other/k.csv"},
    ]
    assert blobs(blob("t", "METADATA", key="link")) == [{"name": "t", "type": "TABULAR", "uri": "s3://other/k.csv"}]
    assert blobs(file, link, record={}) == [{"name": "image", "type": "IMAGE", "uri": None}]
    assert blobs(link, record={}) == []
    assert blobs({**link, "default": "http://a.example"}, record={}) == [
        {"name": "clip", "type": "OTHER", "uri": "http://a.example"}
    ]
    several = [{**file, "property": "original"}, {**link, "target": "image", "property": "clip"}]
    assert [item["name"] for item in blobs(*several)] == ["original", "clip"]
    # The type of the listing goes before the extension.
    assert blobs(file, mime="audio/mp4")[0]["type"] == "AUDIO"
    assert blobs({**file, "blobType": "OTHER"}, mime="audio/mp4")[0]["type"] == "OTHER"


def test_the_usual_blob_is_not_written() -> None:
    assert blobs(blob("content", "FILE")) is None
    assert blobs(field("f", "CONSTANT", value=1)) is None
    assert blobs(blob("x", "FILE", property="content")) is None
    assert blobs(blob("content", "FILE", blobType="VIDEO")) == [{"name": "content", "type": "VIDEO", "uri": None}]
    assert blobs(blob("content", "FILE", blobType="IMAGE")) is None


def test_a_mapper_says_what_it_needs() -> None:
    def needs(*mappings: dict[str, Any]) -> tuple[bool, bool]:
        mapper = compile_mapping({"mappings": list(mappings)}, base="", object_schema=None)
        return mapper.needs_tags, mapper.needs_metadata

    assert needs(field("f", "FOLDER_PATH"), blob("b", "FILE"), field("c", "COLUMN", key="k")) == (False, False)
    assert needs(field("f", "TAG", key="k")) == (True, False)
    assert needs(blob("b", "METADATA", key="k")) == (False, True)


# ---------------------------------------------------------------------------------------------- under a schema

SCHEMA = {
    "properties": {
        "n": {"type": "integer", "minimum": 0}, "code": {"type": "string", "pattern": "^[A-Z]+$"},
        "clip": {"x-blob": True}, "image": {"x-blob": True, "type": "string"},
    },
    "required": ["n", "image"],
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"record": {"n": -1}}, "The project's schema refuses the field 'n': -1 is less than the minimum of 0"),
        ({"record": {"n": "7"}}, """the field 'n': "7" is not of type "integer\""""),
        ({"record": {}}, """the object: "n" is a required property"""),
        ({"tags": {"code": "abc"}}, "the field 'code'"),
        ({"tags": {"code": "A" * 70_000}}, "at most 65,536"),
    ],
)
def test_what_the_schema_refuses_fails_with_the_name_of_the_field(given: dict[str, Any], says: str) -> None:
    mappings = [field("n", "COLUMN", key="n"), field("code", "TAG", key="code"), blob("image", "FILE")]
    assert json.loads(mapped(*mappings, schema=SCHEMA, tags={"code": "ABC"})[0] or "") == {"n": 7, "code": "ABC"}
    with pytest.raises(SkippableError) as caught:
        mapped(*mappings, schema=SCHEMA, **given)
    assert says in caught.value.message
    assert len(caught.value.message) < 500


def test_a_blob_that_the_schema_requires_must_be_there() -> None:
    mappings = [field("n", "CONSTANT", value=1), blob("image", "COLUMN", key="link"), blob("clip", "FILE")]
    assert mapped(*mappings, schema=SCHEMA)[0] == '{"n":1}'
    with pytest.raises(SkippableError, match='"image" is a required property'):
        mapped(*mappings, schema=SCHEMA, record={})
    with pytest.raises(SkippableError, match='"image" is a required property'):
        mapped(mappings[0], schema=SCHEMA)


def test_a_long_value_is_not_repeated_in_the_message() -> None:
    with pytest.raises(SkippableError) as caught:
        mapped(field("n", "TAG", key="k"), blob("image", "FILE"), schema=SCHEMA, tags={"k": "secret " * 5_000})
    assert len(caught.value.message) < 500


# ---------------------------------------------------------------------------------------------- a plain reading

TEXTS = st.text(alphabet='ab/A"\\ é1[]{}\n\x00\u2028', max_size=6)
VALUES = st.none() | st.booleans() | st.integers() | TEXTS
SOURCES = st.one_of(
    st.sampled_from(["TAG", "METADATA", "COLUMN"]).map(lambda kind: {"type": kind, "key": "k"}),
    st.integers(-3, 3).map(lambda segment: {"type": "FOLDER_PATH", "segment": segment}),
    st.just({"type": "FOLDER_PATH"}),
    st.sampled_from(["(.)", "^(a+)", "([^a]*)$", "b|(a)"]).map(
        lambda text: {"type": "FILENAME_REGEX", "pattern": text}
    ),
    VALUES.filter(lambda value: value is not None).map(lambda value: {"type": "CONSTANT", "value": value}),
)
TRANSFORMS = st.lists(st.sampled_from(["LOWERCASE", "UPPERCASE", "TRIM", "JSON_PARSE"]), max_size=2)


def read(mapping: dict[str, Any], path: str, given: dict[str, Any]) -> Any:
    """The value, or ValueError."""
    source = mapping["source"]
    kind = source["type"]
    *folders, name = path.split("/")
    if kind == "FOLDER_PATH":
        at = source.get("segment")
        inside = at is not None and -len(folders) <= at < len(folders)
        value = ("/".join(folders) if at is None else folders[at] if inside else "") or None
    elif kind == "FILENAME_REGEX":
        found = re.search(source["pattern"].replace("$", r"\Z"), name, re.DOTALL)
        value = found[1] if found else None
    else:
        value = source["value"] if kind == "CONSTANT" else given[kind].get("k")
    for transform in mapping["transforms"]:
        if isinstance(value, str):
            value = {"LOWERCASE": str.lower, "UPPERCASE": str.upper, "TRIM": str.strip, "JSON_PARSE": json.loads}[
                transform
            ](value)
    if value is None:
        value = mapping["default"]
    if (value is None and mapping["required"]) or "\\u0000" in json.dumps(value):
        raise ValueError("missing, or not to be stored")
    return value


@given(st.lists(st.tuples(SOURCES, TRANSFORMS, st.booleans(), VALUES), min_size=1, max_size=3), st.data())
def test_a_mapping_does_what_it_says(
    parts: list[tuple[dict[str, Any], list[str], bool, Any]], data: st.DataObject
) -> None:
    mappings: list[dict[str, Any]] = []
    for number, (source, transforms, required, default) in enumerate(parts):
        steps = [] if source["type"] == "CONSTANT" else transforms
        item = {"source": source, "transforms": steps, "required": required, "default": default}
        mappings.append({"target": str(number), "targetType": "FIELD", **item})
    stored = json.dumps(parts)
    if "\\u0000" in stored:
        return
    mapper = compile_mapping({"mappings": mappings}, base="é/", object_schema=None)
    texts = st.dictionaries(st.sampled_from("ka"), TEXTS | st.sampled_from(["[1]", "null", '"A"', "{}"]))
    for _ in range(3):
        path = data.draw(st.text(alphabet="ab/A é1", min_size=1, max_size=8))
        given = {"TAG": data.draw(texts), "METADATA": data.draw(texts), "COLUMN": data.draw(texts)}
        expected: dict[str, Any] | None = None
        with suppress(ValueError):
            expected = {str(number): read(mapping, path, given) for number, mapping in enumerate(mappings)}
        try:
            fields, blobs = mapper.map("é/" + path, given["COLUMN"], given["TAG"], given["METADATA"])
        except SkippableError:
            assert expected is None
        else:
            assert expected is not None
            present = {name: value for name, value in expected.items() if value is not None}
            assert (None if fields is None else json.loads(fields)) == (present or None)
            assert blobs is None
