"""Two gateways on one PostgreSQL: what is done at one shows live at the other, whatever becomes of the channel."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sluicegate.core.crypto import new_api_secret, new_secret_key
from tests.app.storages import create_storage
from tests.support.gateway import GatewayProcess, first, gateway_process
from tests.support.moto_server import MotoServer
from tests.support.valkey import ValkeyServer

OBJECTS = 6
STORAGE = "subscription ($id: ID!) { storage(id: $id) { title } }"
RENAME = """mutation ($id: ID!, $title: String!) {
  updateStorage(input: {id: $id, title: $title}) { errors { ... on UserError { message } } } }"""
SYNC = "mutation ($id: ID!) { syncStorage(input: { id: $id }) { job { id } } }"
JOB = "subscription ($id: ID!) { job(id: $id) { status ... on SyncJob { sync { objectsSynced } } } }"

pytestmark = pytest.mark.slow


@pytest.fixture(params=["valkey", "postgresql"])
def channel(request: pytest.FixtureRequest, postgres_url: str) -> str:
    """The address of the channel: a Valkey, or the database itself."""
    if request.param == "postgresql":
        return f"{postgres_url}?channel=live"
    server: ValkeyServer = request.getfixturevalue("valkey")
    return f"{server.url}?channel=two.gateways"


async def two_gateways(
    stack: AsyncExitStack, tmp_path: Path, database: str, events: str
) -> tuple[GatewayProcess, GatewayProcess]:
    """One that runs jobs, one that does not."""
    key = new_api_secret()
    env = {
        "SLUICEGATE_DATABASE_URL": database,
        "SLUICEGATE_EVENTS_URL": events,
        "SLUICEGATE_SECRET_KEY": new_secret_key(),
        "SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1",
    }
    working = await stack.enter_async_context(gateway_process(tmp_path / "working", env, key=key))
    showing = gateway_process(tmp_path / "showing", env, key=key, arguments=("--no-worker",))
    return working, await stack.enter_async_context(showing)


async def test_what_is_done_at_one_shows_at_the_other(
    moto: MotoServer, bucket: str, postgres_url: str, channel: str, tmp_path: Path
) -> None:
    moto.put(bucket, {f"{number:02}.json": b"{}" for number in range(OBJECTS)})
    async with AsyncExitStack() as stack:
        working, showing = await two_gateways(stack, tmp_path, postgres_url, channel)
        storage = await create_storage(working, moto, bucket, maxRequestsPerSecond=4.0)
        titles = showing.subscribe(STORAGE, {"id": storage})
        await first(titles)
        await working.data(RENAME, {"id": storage, "title": "née à côté 😀\n"})
        assert (await first(titles))["data"]["storage"]["title"] == "née à côté 😀\n"
        await titles.aclose()

        job = (await working.data(SYNC, {"id": storage}))["syncStorage"]["job"]["id"]
        seen = [event["data"]["job"] async for event in showing.subscribe(JOB, {"id": job})]
        assert seen[-1] == {"status": "COMPLETED", "sync": {"objectsSynced": OBJECTS}}
        synced = [state["sync"]["objectsSynced"] for state in seen]
        assert synced == sorted(synced)
        assert len(seen) > 2  # it went on while it was watched


async def test_an_outage_of_the_channel_hides_nothing(
    postgres_url: str, moto: MotoServer, bucket: str, tmp_path: Path
) -> None:
    with ValkeyServer() as server:
        async with AsyncExitStack() as stack:
            working, showing = await two_gateways(stack, tmp_path, postgres_url, server.url)
            storage = await create_storage(working, moto, bucket)
            titles = showing.subscribe(STORAGE, {"id": storage})
            await first(titles)
            server.pause()
            await working.data(RENAME, {"id": storage, "title": "hung"})
            assert (await first(titles))["data"]["storage"]["title"] == "hung"
            server.kill()
            await working.data(RENAME, {"id": storage, "title": "dead"})
            assert (await first(titles))["data"]["storage"]["title"] == "dead"
            server.start()
            await working.data(RENAME, {"id": storage, "title": "alive"})
            assert (await first(titles))["data"]["storage"]["title"] == "alive"
            await titles.aclose()
        assert "The event channel failed" in showing.output
        assert "Traceback" not in showing.output
