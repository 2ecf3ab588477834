"""The transports of the real gateway, with its own schema."""

import asyncio
import json

import pytest
from graphql import get_introspection_query, parse

from gql.execution import Limits
from gql.execution.cost import plan_of
from gql.execution.limits import check_document
from gql.permissions import root_scopes
from gql.schema import schema
from sluicegate.core.actors import Scope
from tests.gql.node_clients import client, of, running
from tests.gql.tenants import Tenant
from tests.gql.test_audits import AUDITS

INTROSPECTION = get_introspection_query(
    descriptions=True, specified_by_url=True, directive_is_repeatable=True, schema_description=True,
    input_value_deprecation=True,
)  # fmt: skip
DEEP_PAGE = """{ storages(first: 100) { totalCount pageInfo { endCursor } edges { cursor node {
  id title status lastSync lastSyncJob { id status sync { phase objectsFound lastErrors { path message } } }
  project { id name } jobs(first: 5) { nodes { id status progress createdAt } } } } } }"""


async def test_all_audits_pass_on_the_gateway_itself(tenant: Tenant, node: None):
    async with running("audits.mjs", f"{tenant.gateway.url}/graphql", tenant.key) as audits:
        results = await audits.rest()
    assert len(results) == AUDITS
    assert [result for result in results if result["status"] != "ok"] == []


async def test_answers_carry_the_id_of_their_request(tenant: Tenant):
    headers = {"Authorization": f"Bearer {tenant.key}", "X-Request-Id": "given-by-test"}
    response = await tenant.gateway.http.post("/graphql", json={"query": "{ no }"}, headers=headers)
    assert response.headers["x-request-id"] == "given-by-test"
    assert response.json()["errors"][0]["extensions"]["requestId"] == "given-by-test"


@pytest.mark.parametrize("query", [INTROSPECTION, DEEP_PAGE])
async def test_what_clients_really_send_is_within_the_limits(tenant: Tenant, query: str):
    limits = Limits()
    document = parse(query, max_tokens=limits.tokens)
    assert check_document(document, limits) == []
    assert plan_of(schema._schema, document, None).cost({}) <= limits.cost
    answer = await tenant.gateway.graphql(query, key=tenant.key)
    assert "errors" not in answer


async def test_pages_in_pages_are_refused_before_they_cost(tenant: Tenant):
    query = "{ storages(first: 1000) { nodes { jobs(first: 1000) { nodes { id } } } } }"
    answer = await tenant.gateway.graphql(query, key=tenant.key)
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT"


def test_each_root_field_says_its_scope():
    scopes = dict(root_scopes(schema.query, schema.mutation, schema.subscription))
    assert len(scopes) > 20
    assert {name for name, scope in scopes.items() if scope is None} == set()
    for name, scope in scopes.items():
        assert (scope is Scope.READ) == (not name.startswith("Mutation.") and name != "Query.api_keys"), name


@pytest.mark.parametrize("protocol", ["ws", "sse"])
async def test_both_clients_see_a_storage_live_and_complete_when_it_goes(tenant: Tenant, node: None, protocol: str):
    project = await tenant.project()
    storage = await tenant.storage(project)
    headers = {"Authorization": f"Bearer {tenant.key}"}
    operations = [{"query": "subscription($id: ID!) { storage(id: $id) { title } }", "variables": {"id": storage}}]
    async with client(protocol, tenant.gateway.url, headers, operations) as watching:
        seen = await watching.until(event="next")
        deleted = await tenant.data(
            "mutation($id: ID!) { deleteStorage(input: {id: $id}) { deletedId errors { message } } }", id=storage
        )
        assert deleted["deleteStorage"]["errors"] == []
        seen += await asyncio.wait_for(watching.rest(), 20)
    events = of(seen)
    assert "storage" in json.dumps(events[0])
    assert events[-1][0] == "complete"
