"""What of a mapping is refused when it is saved, and with which place."""

from typing import Any

import pytest

from sluicegate.core.errors import InvalidError
from sluicegate.providers import registry
from sluicegate.providers.base import ProviderType
from sluicegate.sync.mapping import check_mapping, compile_mapping
from sluicegate.sync.mapping_form import MAX_VALUES_BYTES

TAG = {"type": "TAG", "key": "k"}
FILE = {"type": "FILE"}
ONE = {"type": "CONSTANT", "value": 1}
SCHEMA = {"properties": {"f": {"type": "string"}, "b": {"x-blob": True}}}


def field(source: dict[str, Any], target: str = "f", **rest: Any) -> dict[str, Any]:
    return {"target": target, "targetType": "FIELD", "source": source, **rest}


def blob(source: dict[str, Any], target: str = "b", **rest: Any) -> dict[str, Any]:
    return {"target": target, "targetType": "BLOB", "source": source, **rest}


def check(*mappings: dict[str, Any], schema: Any = None, reads: bool = True, kind: str = "S3") -> None:
    spec = registry.spec(ProviderType(kind))
    check_mapping({"mappings": list(mappings)}, spec=spec, reads_records=reads, object_schema=schema)


def regex(pattern: str) -> dict[str, Any]:
    return field({"type": "FILENAME_REGEX", "pattern": pattern})


def constant(value: Any, **rest: Any) -> dict[str, Any]:
    return field({"type": "CONSTANT", "value": value}, **rest)


def test_what_is_allowed() -> None:
    check(field(TAG), blob(FILE), blob({"type": "COLUMN", "key": "k"}, target="c"), schema=None)
    check(field(TAG), blob(FILE), schema=SCHEMA)
    check(field(TAG, target="any"), blob(FILE, target="thing"), schema={"description": "names no properties"})
    check(blob(FILE, property="one"), blob({**TAG}, property="two"), field(ONE, target="one"))
    check(blob({**TAG}, default="https://a.example/b", transforms=["TRIM"], required=True))
    check(*(field(ONE, target=f"f{number}") for number in range(100)))


@pytest.mark.parametrize(
    ("mappings", "place"),
    [
        ([], []),
        ([field(ONE, target=f"f{number}") for number in range(101)], []),
        ([field(TAG, target=" ")], ["0", "target"]),
        ([field(TAG, target="x" * 257)], ["0", "target"]),
        ([field(TAG, target="a\x00")], ["0", "target"]),
        ([field(TAG), field(ONE)], ["1", "target"]),
        ([blob(FILE), blob(TAG)], ["1", "target"]),
        ([blob(FILE, target="x"), blob(TAG, property="x")], ["1", "property"]),
        ([field(TAG), blob(FILE, target="f")], ["1", "target"]),
        ([blob(FILE, property="")], ["0", "property"]),
        ([field(TAG, property="x")], ["0", "property"]),
        ([field(TAG, blobType="IMAGE")], ["0", "blobType"]),
        ([field(FILE)], ["0", "source", "type"]),
        *(([blob(source)], ["0", "source", "type"]) for source in (
            ONE, {"type": "FOLDER_PATH"}, {"type": "FILENAME_REGEX", "pattern": "(x)"},
        )),
        ([blob(FILE, transforms=["TRIM"])], ["0", "transforms"]),
        ([blob(FILE, default="https://a.example")], ["0", "default"]),
        ([blob(TAG, default="a.jpg")], ["0", "default"]),
        ([constant("x", transforms=["UPPERCASE"])], ["0", "transforms"]),
        ([field({**TAG}, transforms=["TRIM"] * 11)], ["0", "transforms"]),
        # A source is told by what belongs to it, and by nothing else.
        *(([field(source)], ["0", "source", wrong]) for source, wrong in (
            ({"type": "TAG"}, "key"), ({"type": "TAG", "key": ""}, "key"), ({"type": "TAG", "key": "x" * 1_025}, "key"),
            ({"type": "METADATA", "key": "\ud800"}, "key"), ({**TAG, "pattern": "(x)"}, "pattern"),
            ({**TAG, "segment": 0}, "segment"), ({**TAG, "value": 0}, "value"), ({**ONE, "key": "k"}, "key"),
            ({"type": "CONSTANT"}, "value"), ({"type": "FILENAME_REGEX"}, "pattern"),
            ({"type": "FOLDER_PATH", "segment": 1_001}, "segment"),
            ({"type": "FOLDER_PATH", "segment": -1_001}, "segment"),
        )),
        *(([regex(pattern)], ["0", "source", "pattern"]) for pattern in (
            "x", "(a)(b)", "(?:a)", "(", "(?=a)(b)", r"(a)\1", "(a" + "x" * 4_096 + ")", "(" + "a{900}" * 100 + ")",
            "(\ud800)",
        )),
        ([constant("a\x00")], ["0", "source", "value"]),
        ([constant(float("nan"))], ["0", "source", "value"]),
        ([field(TAG, default={"a": "\ud800"})], ["0", "default"]),
        ([constant("x" * (MAX_VALUES_BYTES // 2)), field(TAG, target="g", default="x" * (MAX_VALUES_BYTES // 2))], []),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_said_with_its_place(mappings: list[dict[str, Any]], place: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        check(*mappings)
    assert list(caught.value.path) == ["schemaMapping", "mappings", *place]


def test_values_are_as_deep_as_what_is_stored() -> None:
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    check(constant(deep))
    with pytest.raises(InvalidError, match="nested deeper"):
        check(constant([deep]))


def test_a_source_must_be_one_of_the_provider() -> None:
    for kind, reads, source in (
        ("LOCAL", True, TAG), ("LOCAL", True, {"type": "METADATA", "key": "k"}),
        ("S3", True, {"type": "DRIVE_PROPERTY", "key": "k"}), ("S3", False, {"type": "COLUMN", "key": "k"}),
    ):  # fmt: skip
        with pytest.raises(InvalidError) as caught:
            check(field(ONE, target="one"), field(source), kind=kind, reads=reads)
        assert list(caught.value.path) == ["schemaMapping", "mappings", "1", "source", "type"]
        assert caught.value.hint
    check(field({"type": "COLUMN", "key": "k"}), kind="LOCAL")


@pytest.mark.parametrize(
    "mapping", [field(TAG, target="g"), field(TAG, target="b"), blob(FILE, target="f"), blob(FILE, target="content")]
)
def test_a_target_must_be_one_of_the_schema(mapping: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as caught:
        check(mapping, schema=SCHEMA)
    assert list(caught.value.path) == ["schemaMapping", "mappings", "0", "target"]
    assert caught.value.hint


def test_a_schema_that_is_none_is_the_project_s_fault() -> None:
    with pytest.raises(InvalidError) as caught:
        compile_mapping({"mappings": [field(TAG)]}, base="", object_schema={"type": "objec"})
    assert caught.value.path[0] == "objectSchema"
