"""The schema as it is published: the file in the repository is this one, and everything in it is explained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphql import GraphQLInterfaceType, GraphQLObjectType

from gql.schema import schema

ROOT = Path(__file__).parents[2]
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


def described() -> Iterator[tuple[str, str | None]]:
    for name, kind in schema._schema.type_map.items():
        if name.startswith("__") or name in BUILT_IN:
            continue
        yield name, kind.description
        members: dict[str, Any] = {**getattr(kind, "fields", {}), **getattr(kind, "values", {})}
        for member, definition in members.items():
            yield f"{name}.{member}", definition.description
            for argument, given in getattr(definition, "args", {}).items():
                if argument != "input":  # its type says it
                    yield f"{name}.{member}({argument})", given.description


def test_the_printed_schema_is_up_to_date() -> None:
    printed = (ROOT / "schema.graphql").read_text()
    assert printed.strip() == schema.as_str().strip(), "write it anew: sluicegate schema > schema.graphql"


def test_everything_is_described() -> None:
    found = dict(described())
    assert len(found) > 300
    assert [name for name, text in found.items() if not text or not text.strip()] == []


def test_ids_are_found_by_node() -> None:
    from gql.nodes import KINDS

    nodes = {
        name
        for name, kind in schema._schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and any(each.name == "Node" for each in kind.interfaces)
    }
    interfaces = {
        name: {each.name for each in kind.interfaces}
        for name, kind in schema._schema.type_map.items()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
    }
    kinds = {next((each for each in ("Storage", "Job") if each in interfaces[name]), name) for name in nodes}
    assert kinds == set(KINDS)


def test_every_payload_has_errors_and_something_nullable() -> None:
    for name, kind in schema._schema.type_map.items():
        if name.endswith("Payload"):
            fields = kind.fields  # type: ignore[union-attr]
            assert str(fields["errors"].type) == "[UserError!]!", name
            others = [field for field in fields if field not in {"errors", "warnings"}]
            assert others, name
