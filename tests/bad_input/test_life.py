"""What goes wrong while a gateway runs: keys that are revoked, clients that hang, buckets that are emptied."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets

from tests.bad_input.user import WATCH, User, counts, s3
from tests.gql.test_transports import frame
from tests.providers.s3_sources import Bucket
from tests.support.gateway import GatewayProcess, gateway_process
from tests.support.s3_responder import S3Responder, Stall
from tests.support.seaweed import ACCESS_KEY, SECRET_KEY

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = 'owned'</script></svg>"""
NEW_KEY = """mutation { createApiKey(input: {name: "short-lived", scopes: [WRITE]}) {
  apiKey { id } secret errors { message } } }"""
REVOKE = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { revokedAt } errors { message } } }"


async def test_a_revoked_key_opens_nothing_any_more(user: User, gateway: GatewayProcess, local_root: Path) -> None:
    """Requests at once; what it has open, and its links to content, within 5 seconds. What it started goes on."""
    (local_root / "revoked").mkdir()
    (local_root / "revoked" / "a.txt").write_text("content")
    server = S3Responder()
    made = (await gateway.data(NEW_KEY))["createApiKey"]  # past `user`: this answer alone may hold a key
    theirs = User(gateway.as_other(made["secret"]))
    user.secrets.add(made["secret"])
    project = await theirs.project()
    storage = await theirs.storage({"local": {"path": "revoked"}}, projectId=project, useBlobUrls=True)
    await theirs.sync(storage)
    (found,) = await theirs.objects(project)
    async with server, httpx.AsyncClient(trust_env=False) as browser:
        assert (await browser.get(found["url"])).text == "content"
        server.store.put(b"a.png", b"png")
        waiting = await theirs.storage(s3(server.endpoint, server.bucket), useBlobUrls=True)
        server.always = Stall()
        job = await theirs.start(waiting)
        async with aclosing(theirs.gateway.subscribe(WATCH, {"id": job})) as events:
            await anext(events)
            began = time.monotonic()
            assert (await user.data(REVOKE, id=made["apiKey"]["id"]))["revokeApiKey"]["errors"] == []
            with pytest.raises((AssertionError, websockets.ConnectionClosed)) as ended:
                await asyncio.wait_for(drained(events), 6)
            assert time.monotonic() - began < 5
        assert "UNAUTHENTICATED" in str(ended.value) or "4403" in str(ended.value)
        refused = await theirs.ask("{ viewer { namespace { name } } }")
        assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await browser.get(found["url"])).status_code == 403
        (seen,) = await user.objects(project)
        assert (await browser.get(seen["url"])).text == "content"
        assert (await user.signal(job, "CANCEL"))["errors"] == []
        assert (await user.until(job))["status"] == "CANCELED"
    user.heard += theirs.heard


async def drained(events: AsyncIterator[Any]) -> None:
    """Takes what comes, to the end."""
    async for _ in events:
        pass


@pytest.mark.slow
async def test_a_client_that_stops_reading_holds_nobody_up(
    user: User, gateway: GatewayProcess, server: S3Responder
) -> None:
    """Twenty of them watch a storage while it is synced again and again: syncs go on, and memory stays."""
    for number in range(3_000):
        server.store.put(b"%04d.png" % number, b"png")
    storage = await user.storage(s3(server.endpoint, server.bucket), useBlobUrls=True)
    await user.sync(storage)
    before = psutil.Process(gateway.process.pid).memory_info().rss
    query = "subscription($id: ID!) { storage(id: $id) { status revision meta title description traceback } }"
    deaf = [await deaf_client(gateway, query, storage) for _ in range(20)]
    try:
        for _ in range(10):
            state = await user.sync(storage, fullSync=True)
            assert (state["status"], counts(state)) == ("COMPLETED", {"synced": 3_000})
        grown = psutil.Process(gateway.process.pid).memory_info().rss - before
        assert grown < 60 << 20, f"{grown >> 20} MiB more"
    finally:
        for writer in deaf:
            writer.transport.abort()
    assert (await user.data("{ viewer { namespace { name } } }"))["viewer"]


async def deaf_client(gateway: GatewayProcess, query: str, storage: str) -> asyncio.StreamWriter:
    """Subscribes over a raw socket with the smallest buffers, and never reads again."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1_024)
    writer.write(
        f"GET /graphql HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    for message in (
        {"type": "connection_init", "payload": gateway.headers()},
        *(
            {"type": "subscribe", "id": str(number), "payload": {"query": query, "variables": {"id": storage}}}
            for number in range(20)
        ),
    ):
        writer.write(frame(json.dumps(message).encode()))
    await writer.drain()
    return writer


async def test_a_bucket_that_lists_empty_after_it_was_full(user: User, server: S3Responder) -> None:
    keys = [b"%03d.png" % number for number in range(150)]
    for key in keys:
        server.store.put(key, b"png")
    project = await user.project()
    storage = await user.storage(s3(server.endpoint, server.bucket), projectId=project, useBlobUrls=True)
    await user.sync(storage)
    for key in keys:
        server.store.delete(key)
    job = await user.start(storage)
    refused = await user.until(job)
    assert (refused["status"], refused["error"]["type"]) == ("FAILED", "LIMIT")
    assert "150 of 150" in refused["error"]["message"]
    assert "allowMassMissing" in refused["error"]["hint"]
    assert {each["status"] for each in await user.objects(project)} == {"SYNCED"}
    assert (await user.signal(job, "RETRY"))["errors"] == []
    assert (await user.until(job))["status"] == "FAILED"
    report = await user.start(storage, dryRun=True)
    assert (await user.until(report))["status"] == "COMPLETED"

    meant = await user.sync(storage, allowMassMissing=True)
    assert (meant["status"], counts(meant)) == ("COMPLETED", {"missing": 150})
    gone = await user.objects(project)
    assert (len(gone), {each["status"] for each in gone}) == (150, {"MISSING"})

    for key in keys:
        server.store.put(key, b"png")
    back = await user.sync(storage)
    assert back["status"] == "COMPLETED"
    assert back["sync"]["objectsMissing"] == 0
    found = await user.objects(project)
    assert (len(found), {each["status"] for each in found}) == (150, {"SYNCED"})
    assert {each["id"] for each in found} == {each["id"] for each in gone}


@pytest.mark.parametrize("presign", [True, False])
async def test_an_svg_with_a_script_is_never_run_by_the_gateways_page(user: User, owned: Bucket, presign: bool) -> None:
    await owned.put(b"drawing.svg", SVG)
    project = await user.project()
    storage = await user.storage(
        s3(owned.endpoint, owned.bucket, secret=SECRET_KEY, awsAccessKeyId=ACCESS_KEY),
        projectId=project,
        useBlobUrls=True,
        presign=presign,
    )
    await user.sync(storage)
    (found,) = await user.objects(project)
    async with httpx.AsyncClient(trust_env=False) as browser:
        response = await browser.get(found["url"])
        assert (response.status_code, response.content) == (200, SVG)
    if presign:  # another origin, which has nothing of the gateway's
        assert not found["url"].startswith(user.gateway.url)
        return
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["content-security-policy"].startswith("sandbox;")
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.slow
async def test_a_second_gateway_changes_nothing_for_the_first(tmp_path: Path) -> None:
    """That it is refused is proved in tests/app/test_serve.py; here, that jobs under way do not notice."""
    async with S3Responder() as server, gateway_process(tmp_path, {"SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1"}) as one:
        for number in range(200):
            server.store.put(b"%03d.json" % number, b'{"n": 1}')
        user = User(one)
        storage = await user.storage(s3(server.endpoint, server.bucket))
        served, second = server.answer, []
        server.answer = lambda request: Stall() if request.key else served(request)
        job = await user.start(storage)
        with pytest.raises(RuntimeError, match=r"pid \d+"):
            async with gateway_process(tmp_path):
                second.append("it started")
        assert not second
        server.answer = served
        await server.stop()
        await server.start()
        state = await user.until(job)
        assert (state["status"], counts(state)) == ("COMPLETED", {"synced": 200})
        user.check_silence(one.output)
