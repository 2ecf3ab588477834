"""The tabs of a fresh page run against the schema as it is."""

import json
import re
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, get_operation_ast, get_variable_values, parse, validate

from gql.schema import schema as gateway_schema

ROOT = Path(__file__).resolve().parents[2]
TABS = sorted((ROOT / "web" / "src" / "tabs").glob("*.graphql"))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(gateway_schema.as_str())


@pytest.mark.parametrize("path", TABS, ids=lambda path: path.stem)
def test_a_tab_is_valid_with_its_variables(schema: GraphQLSchema, path: Path) -> None:
    document = parse(path.read_text())
    assert validate(schema, document) == []
    operation = get_operation_ast(document)
    assert operation is not None
    variables_path = path.with_suffix(".jsonc")
    text = variables_path.read_text() if variables_path.exists() else "{}"
    variables = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    # Either a dictionary of the values or a list of what is wrong with them.
    assert not isinstance(get_variable_values(schema, operation.variable_definitions or [], variables), list)


def test_every_tab_is_on_the_page_in_order() -> None:
    page = (ROOT / "sluicegate" / "static" / "graphiql" / "graphiql.js").read_text()
    names = [re.search(r"(?:query|mutation|subscription) (\w+)", path.read_text()) for path in TABS]
    places = [page.index(f" {name[1]}") for name in names if name]
    assert len(places) == len(TABS) == 7
