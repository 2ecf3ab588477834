"""Mappings, filters and blobs as types: what is given comes back as it was stored."""

from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from gql.inputs.file_filters import FileFiltersInput, file_filters_of
from gql.inputs.schema_mapping import SchemaMappingInput, schema_mapping_of
from gql.scalars import SCALARS
from gql.types.file_filters import FileFilters, file_filters_view
from gql.types.objects import Blob, blobs_of
from gql.types.schema_mapping import SchemaMapping, schema_mapping_view
from sluicegate.sync.mapping import compile_mapping

ROW = {"modality": "IMAGE", "mime_type": "image/png"}


@strawberry.type
class Query:
    @strawberry.field
    def mapping(self, given: SchemaMappingInput) -> SchemaMapping:
        stored = schema_mapping_of(given)
        compile_mapping(stored, base="", object_schema=None)
        return schema_mapping_view(stored)

    @strawberry.field
    def filters(self, given: FileFiltersInput) -> FileFilters:
        return file_filters_view(file_filters_of(given).to_json())

    @strawberry.field
    def blobs(self, info: strawberry.Info) -> list[Blob]:
        return blobs_of(SimpleNamespace(**ROW, blobs=info.context["blobs"]))


SCHEMA = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))


async def answer(query: str, *, blobs: Any = None, **variables: Any) -> Any:
    result = await SCHEMA.execute(query, variable_values=variables, context_value={"blobs": blobs})
    assert result.errors is None
    return result.data


MAPPING = """query($given: SchemaMappingInput!) { mapping(given: $given) { mappings { target targetType blobType
  property source { type key pattern segment value } transforms required default } } }"""
NOTHING = {"key": None, "pattern": None, "segment": None, "value": None}


async def test_a_mapping_comes_back_as_it_was_given() -> None:
    field: dict[str, Any] = {
        "target": "day", "targetType": "FIELD", "source": {"type": "FOLDER_PATH", "segment": -1},
        "transforms": ["TRIM", "JSON_PARSE"], "required": True, "default": {"a": [None]},
    }  # fmt: skip
    blob = {
        "target": "image",
        "targetType": "BLOB",
        "blobType": "VIDEO",
        "property": "clip",
        "source": {"type": "FILE"},
    }
    constant = {"target": "c", "targetType": "FIELD", "source": {"type": "CONSTANT", "value": 0}, "transforms": None}
    found = (await answer(MAPPING, given={"mappings": [field, blob, constant]}))["mapping"]["mappings"]
    assert found == [
        {**field, "blobType": None, "property": None, "source": {**NOTHING, **field["source"]}},
        {**blob, "source": {**NOTHING, "type": "FILE"}, "transforms": [], "required": False, "default": None},
        {
            **constant, "blobType": None, "property": None, "source": {**NOTHING, "type": "CONSTANT", "value": 0},
            "transforms": [], "required": False, "default": None,
        },
    ]  # fmt: skip


async def test_the_example_of_the_seed_is_a_mapping() -> None:
    seed = [
        {"target": "category", "source": {"key": "category", "type": "TAG"}, "targetType": "FIELD"},
        {"target": "content", "blobType": "AUTO", "source": {"type": "FILE"}, "targetType": "BLOB"},
    ]
    found = (await answer(MAPPING, given={"mappings": seed}))["mapping"]["mappings"]
    assert [(item["target"], item["blobType"]) for item in found] == [("category", None), ("content", "AUTO")]


async def test_filters_come_back_as_they_were_given() -> None:
    query = """query($given: FileFiltersInput!) { filters(given: $given) { regex includePatterns excludePatterns
      extensions mimeTypes minSizeBytes maxSizeBytes modifiedAfter modifiedBefore } }"""
    empty = {
        "regex": None, "includePatterns": [], "excludePatterns": [], "extensions": [], "mimeTypes": [],
        "minSizeBytes": None, "maxSizeBytes": None, "modifiedAfter": None, "modifiedBefore": None,
    }  # fmt: skip
    assert (await answer(query, given={}))["filters"] == empty
    some = {"includePatterns": ["*.jpg"], "minSizeBytes": 0, "modifiedAfter": "2026-01-31T12:00:00Z", "regex": "a"}
    assert (await answer(query, given=some))["filters"] == {**empty, **some}


async def test_blobs_elsewhere_have_their_own_address_and_type() -> None:
    query = "{ blobs { name type mimeType uri url } }"
    stored = [
        {"name": "clip", "type": "VIDEO", "uri": "HTTPS://cdn.example/a.mp4?x=.png"},
        {"name": "table", "type": "TABULAR", "uri": "s3://bucket/t.csv"},
    ]
    assert (await answer(query, blobs=stored))["blobs"] == [
        {**stored[0], "mimeType": "video/mp4", "url": stored[0]["uri"]},
        {**stored[1], "mimeType": "text/csv", "url": None},
    ]


async def test_the_blobs_of_the_file_have_its_type() -> None:
    query = "{ blobs { name type mimeType } }"
    assert (await answer(query))["blobs"] == [{"name": "content", "type": "IMAGE", "mimeType": "image/png"}]
    given = [{"name": "original", "type": "DOCUMENT", "uri": None}]
    assert (await answer(query, blobs=given))["blobs"] == [
        {"name": "original", "type": "DOCUMENT", "mimeType": "image/png"}
    ]
    assert (await answer(query, blobs=[]))["blobs"] == []
