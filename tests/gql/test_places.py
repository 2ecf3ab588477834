"""Sources that do not answer hold a tenant's own requests up, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from resolvers.places import PLACES
from tests.gql.sync_configs import UPDATE, change, made
from tests.gql.tenants import Tenant
from tests.support.s3_responder import Request, S3Responder, Stall

VALIDATE = """mutation($endpoint: String!) { validateStorage(input: {provider: {s3: {
  bucket: "bucket", s3Endpoint: $endpoint, awsAccessKeyId: "a", awsSecretAccessKey: "b" }}}) {
  ok errors { code } } }"""
LOCAL = 'mutation { validateStorage(input: {provider: {local: {path: ""}}}) { ok errors { code } } }'


@pytest.fixture
async def silent() -> AsyncIterator[S3Responder]:
    async with S3Responder() as responder:
        yield responder


async def test_a_tenant_has_so_many_places_and_they_are_free_again(
    tenant: Tenant, other_tenant: Tenant, silent: S3Responder
) -> None:
    came: asyncio.Queue[Request] = asyncio.Queue()

    def stall(request: Request) -> Stall:
        came.put_nowait(request)
        return Stall()

    silent.always = stall
    waiting = [asyncio.create_task(tenant.graphql(VALIDATE, endpoint=silent.endpoint)) for _ in range(PLACES)]
    for _ in range(PLACES):
        await asyncio.wait_for(came.get(), 30)
    assert (await tenant.data(LOCAL))["validateStorage"] == {"ok": False, "errors": [{"code": "LIMIT"}]}
    assert (await other_tenant.data(LOCAL))["validateStorage"]["ok"]
    await silent.stop()  # the connections are cut: all of them end
    await asyncio.gather(*waiting)
    assert (await tenant.data(LOCAL))["validateStorage"]["ok"]


async def test_a_webhooks_name_is_looked_up_at_a_place_too(tenant: Tenant, silent: S3Responder) -> None:
    (tenant.folder / "a.png").write_bytes(b"png")
    config = await made(tenant, await tenant.storage(path=""))
    silent.always = Stall()
    waiting = [asyncio.create_task(tenant.graphql(VALIDATE, endpoint=silent.endpoint)) for _ in range(PLACES)]
    async with asyncio.timeout(30):
        while len(silent.requests) < PLACES:  # noqa: ASYNC110 - each may ask for more than one thing
            await asyncio.sleep(0.01)
    given = {"id": config["id"], "webhook": {"url": "https://93.184.216.34/"}}
    answer = (await tenant.data(UPDATE, input=given))["updateSyncConfig"]
    assert [(error["code"]) for error in answer["errors"]] == ["LIMIT"]
    await change(tenant, UPDATE, id=config["id"], name="without a webhook")
    await silent.stop()
    await asyncio.gather(*waiting)
    await change(tenant, UPDATE, **given)
