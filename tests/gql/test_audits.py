"""Every GraphQL-over-HTTP audit of the npm package graphql-http."""

from tests.gql.node_clients import running
from tests.gql.sample import Served

AUDITS = 61


async def test_all_audits_pass(sample: Served, node: None):
    async with running("audits.mjs", f"{sample.url}/graphql", sample.key) as audits:
        results = await audits.rest()
    assert len(results) == AUDITS
    assert [result for result in results if result["status"] != "ok"] == []
