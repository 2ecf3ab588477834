"""Object schemas of callers: what they may be, and that none takes the process with it."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.core.errors import ErrorCode, InvalidError, SkippableError
from sluicegate.sync.mapping_schema import (
    DETAILED,
    LEAST_LIMIT,
    MAX_FIELDS,
    MAX_STEPS,
    MAX_UNFOLDED,
    read_schema,
)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def chain(length: int, *, wide: int = 1) -> dict[str, Any]:
    """Definitions of which each refers to the next, `wide` times."""
    parts: dict[str, Any] = {
        f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * wide} for number in range(length)
    }
    return {"$defs": {**parts, f"d{length}": {"type": "string"}}, "properties": {"f": {"$ref": "#/$defs/d0"}}}


def test_properties_are_fields_and_blobs() -> None:
    schema = read_schema({
        "$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/mine", "type": "object",
        "definitions": {"a/b~": {"type": "string"}}, "title": "Birds",
        "properties": {
            "f": {"$ref": "#/definitions/a~1b~0"}, "g": True, "b": {"x-blob": True, "type": "string"},
            "c": {"x-blob": False}, "$ref": {"type": "integer"}, "$id": {"type": "integer"},
        },
    })  # fmt: skip
    assert schema.fields == {"f", "g", "c", "$ref", "$id"}
    assert schema.blobs == {"b"}
    schema.check({"f": "x", "b": None, "$ref": 1}, 0)
    for wrong in ({"f": 1}, {"$ref": "x"}):
        with pytest.raises(SkippableError):
            schema.check(wrong, 0)
    assert read_schema({}).fields == frozenset()


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ([], []), ("x", []), (True, []),
        ({"type": "objec"}, ["type"]), ({"type": "array"}, ["type"]),
        ({"properties": []}, ["properties"]),
        ({"properties": {"f": {"type": "strin"}}}, ["properties", "f", "type"]),
        ({"properties": {"f": {"minimum": "1"}}}, ["properties", "f", "minimum"]),
        ({"properties": {"f": {"x-blob": "yes"}}}, ["properties", "f", "x-blob"]),
        ({"properties": {"b": {"x-blob": True, "type": "strin"}}}, ["properties", "b", "type"]),
        ({"properties": {"f": {"pattern": "("}}}, ["properties", "f", "pattern"]),
        ({"properties": {"f": {"pattern": "(?=a)"}}}, ["properties", "f", "pattern"]),
        ({"properties": {"f": {"pattern": r"(a)\1"}}}, ["properties", "f", "pattern"]),
        ({"properties": {"f": {"pattern": "((a{100}){100}){100}"}}}, ["properties", "f", "pattern"]),
        ({"$schema": "https://example.com/own"}, ["$schema"]), ({"$schema": 7}, ["$schema"]),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, ["$schema"]),
        # Nothing is asked of anybody, and nothing on the machine is read.
        *(({"properties": {"f": {"$ref": reference}}}, []) for reference in (
            "https://example.com/schema.json", "file:///etc/passwd", "other.json", "#name", "#/$defs/gone",
            "#/%24defs/gone", "",
        )),
        ({"properties": {"f": {"$id": "https://example.com/inner", "type": "string"}}}, []),
        ({"properties": {"f": {"$dynamicRef": "#/$defs/a"}}, "$defs": {"a": True}}, []),
        ({"$recursiveRef": "#"}, []),
        # No circles, and not more than can be checked for every object.
        ({"properties": {"f": {"$ref": "#"}}}, []),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}}, []),
        (chain(12, wide=10), []), (chain(200), []), (nested(70), []),
        ({"enum": list(range(40_000))}, []),
        ({"properties": {f"f{number}": {"pattern": "^a+$"} for number in range(51)}}, []),
        ({"patternProperties": {f"^{number}": {} for number in range(51)}}, []),
        ({"title": "nul \x00"}, []), ({"title": "\ud800"}, []),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_said_with_its_place(schema: Any, place: list[str]) -> None:
    with pytest.raises(InvalidError) as caught:
        read_schema(schema)
    assert list(caught.value.path) == ["objectSchema", *place]
    assert len(caught.value.message) < 500


def test_what_unfolds_to_little_is_taken() -> None:
    schema = read_schema(chain(7, wide=2))
    with pytest.raises(SkippableError, match="'f'"):
        schema.check({"f": 1}, 0)
    read_schema(chain(30))
    read_schema({"properties": {f"f{number}": {} for number in range(MAX_UNFOLDED - 2)}})
    with pytest.raises(InvalidError):
        read_schema({"properties": {f"f{number}": {} for number in range(MAX_UNFOLDED - 1)}})


@pytest.mark.parametrize(
    "each",
    [
        {"anyOf": [{"items": {"type": "string"}}] * 300},
        {"enum": [number + 0.5 for number in range(6_000)]},
        {"allOf": [{"multipleOf": 0.01}] * 10},
    ],
    ids=["alternatives", "enum", "steps"],
)
def test_the_more_a_value_may_be_checked_against_the_less_text_is_taken(each: Any) -> None:
    # Every part against every value: a megabyte of these would stop everything for minutes.
    schema = read_schema({"properties": {"f": {"items": each}}})
    schema.check({}, LEAST_LIMIT)
    with pytest.raises(SkippableError) as caught:
        schema.check({}, 100_000)
    assert caught.value.code == ErrorCode.LIMIT
    read_schema({"properties": {f"f{number}": {"type": "string"} for number in range(9)}}).check({}, MAX_FIELDS)


def test_a_refusal_of_much_text_says_no_more_than_that() -> None:
    schema = read_schema({"properties": {"f": {"type": "string"}}})
    with pytest.raises(SkippableError) as caught:
        schema.check({"f": 1}, DETAILED + 1)
    assert (caught.value.code, caught.value.message) == (
        ErrorCode.INVALID,
        "The project's schema refuses the object.",
    )


def test_steps_of_fractions_are_few() -> None:
    steps = {f"f{number}": {"multipleOf": 0.01} for number in range(MAX_STEPS)}
    read_schema({"properties": {**steps, "whole": {"multipleOf": 2.0}}})
    with pytest.raises(InvalidError, match="multipleOf"):
        read_schema({"properties": {**steps, "more": {"multipleOf": 0.5}}})


PARTS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([True, False, None, 1, "x", "#/$defs/a", "#", "^a+$", "(", "string", "object"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from([
            "$ref", "$defs", "a", "properties", "type", "pattern", "allOf", "items", "x-blob", "required", "const",
            "not", "patternProperties", "$id", "$anchor", "if", "then", "enum", "format", "prefixItems", "contains",
        ]),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@given(PARTS, PARTS)
def test_any_json_is_a_schema_or_invalid(schema: Any, value: Any) -> None:
    with suppress(InvalidError):
        checked = read_schema(schema)
        with suppress(SkippableError):
            checked.check({"a": value}, 0)
