"""Storages that the tests of the shell sync."""

from tests.support.gateway import GraphQLClient
from tests.support.moto_server import ACCESS_KEY, SECRET_KEY, MotoServer

CREATE_STORAGE = """
mutation ($input: CreateStorageInput!) {
  createStorage(input: $input) { storage { id } errors { ... on UserError { message } } }
}
"""


async def create_storage(gateway: GraphQLClient, moto: MotoServer, bucket: str, **settings: object) -> str:
    """The id of a storage of this bucket."""
    created = await gateway.data('mutation { createProject(input: {name: "p"}) { project { id } } }')
    connection = {
        "bucket": bucket,
        "regionName": "us-east-1",
        "s3Endpoint": moto.endpoint,
        "awsAccessKeyId": ACCESS_KEY,
        "awsSecretAccessKey": SECRET_KEY,
    }
    project = created["createProject"]["project"]["id"]
    variables = {"projectId": project, "provider": {"s3": connection}, **settings}
    payload = (await gateway.data(CREATE_STORAGE, {"input": variables}))["createStorage"]
    assert payload["errors"] == []
    return payload["storage"]["id"]
