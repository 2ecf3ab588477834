"""What somebody without a key can make the server hold: a request's head is limited in size and time."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import pytest

from sluicegate.app import protocol
from tests.support.gateway import RunningGateway, running_gateway

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(worker=False) as running:
        yield running


async def connected(gateway: RunningGateway) -> Peer:
    address = urlsplit(gateway.url)
    return await asyncio.open_connection(address.hostname, address.port)


async def sent_until_cut(gateway: RunningGateway, start: bytes, piece: bytes) -> tuple[int, bytes]:
    """How much the server takes of an endless request, and what it answers."""
    reader, writer = await connected(gateway)
    writer.write(start)
    answer = asyncio.create_task(reader.read())
    sent = len(start)
    while not answer.done() and sent < 20_000_000:
        writer.write(piece)
        sent += len(piece)
        try:
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0)
    writer.close()
    try:
        return sent, await asyncio.wait_for(answer, 30)
    except ConnectionError:  # cut while it still sent: the answer is lost with the connection
        return sent, b""


ENDLESS = {
    "address": (b"GET /", b"a" * 8_192),
    "header": (b"GET /healthz HTTP/1.1\r\nHost: x\r\nAccept: ", b"a" * 8_192),
    "headers": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n" * 1_000),
    "trailer": (
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nB: ",
        b"c" * 8_192,
    ),
}


@pytest.mark.parametrize("part", ENDLESS)
async def test_an_endless_head_is_cut(gateway: RunningGateway, part: str) -> None:
    sent, _ = await sent_until_cut(gateway, *ENDLESS[part])
    assert sent < 10_000_000, "what the sockets buffer is a few megabytes"
    assert (await gateway.http.get("/healthz")).status_code == 200


async def test_heads_up_to_64_kib_are_served(gateway: RunningGateway) -> None:
    assert (await gateway.http.get("/healthz", headers={"X-Long": "a" * 60_000})).status_code == 200
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        refused = await client.get("/healthz", headers={"X-Long": "a" * 66_000})
    assert refused.status_code == 431
    many = {f"X-{number}": "a" * 600 for number in range(120)}
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        assert (await client.get("/healthz", headers=many)).status_code == 431


async def test_a_head_that_takes_too_long_ends_the_connection(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    silent, slow = await connected(gateway), await connected(gateway)
    slow[1].write(b"GET /healthz HTTP/1.1\r\nHost:")
    for reader, writer in (silent, slow):
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        await writer.wait_closed()


async def test_a_request_whose_head_is_through_has_its_time(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    reader, writer = await connected(gateway)
    body = b'{"query": "{ viewer { namespace { id } } }"}'
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:10])
    with pytest.raises(TimeoutError):  # longer than a head may take: nothing is answered, nothing is cut
        await asyncio.wait_for(reader.read(1), 0.6)
    writer.write(body[10:])
    assert b'"namespace"' in await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
