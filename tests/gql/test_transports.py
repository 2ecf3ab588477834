"""Subscriptions and queries with the real clients of both protocols, and what they do when something ends."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import websockets

from gql.transports import sse, websocket
from resolvers.operator_keys import issue_key, withdraw_key
from sluicegate.core.actors import Scope
from tests.gql.node_clients import client, of
from tests.gql.sample import SECRET, Probe, Served, served

pytestmark = pytest.mark.usefixtures("node")
BOTH = pytest.mark.parametrize("protocol", ["ws", "sse"])


def params(key: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", **more}


@BOTH
async def test_operations_of_every_kind(sample: Served, protocol: str):
    operations = [
        {"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": "Ada"}},
        {"query": 'mutation { note(text: "kept") { text } }'},
        {"query": "subscription { count(to: 3) }"},
        {"query": "{ nothing }"},
        {"query": "{ bug }"},
        {"query": "subscription { breaks }"},
        {"query": "{"},
    ]
    async with client(protocol, sample.url, params(sample.key), operations) as running:
        lines = await running.rest()
    done = ("complete", None)
    assert of(lines, 0) == [("next", {"data": {"hello": "hello Ada"}}), done]
    assert of(lines, 1) == [("next", {"data": {"note": {"text": "kept"}}}), done]
    assert of(lines, 2) == [*(("next", {"data": {"count": number}}) for number in range(3)), done]
    assert code(of(lines, 3)[0]) == "GRAPHQL_VALIDATION_FAILED"
    assert code(of(lines, 4)[0]) == "INTERNAL"
    assert of(lines, 5)[0] == ("next", {"data": {"breaks": 1}})
    assert code(of(lines, 5)[1]) == "INTERNAL"
    assert code(of(lines, 6)[0]) == "GRAPHQL_PARSE_FAILED"
    assert SECRET not in json.dumps(lines)


def code(event: tuple[str, Any]) -> str:
    errors = event[1] if event[0] == "error" else event[1]["errors"]
    return errors[0]["extensions"]["code"]


@BOTH
async def test_unsubscribing_closes_the_generator(sample: Served, protocol: str, probe: Probe):
    operations = [{"query": "subscription { open }", "take": 1}, {"query": "subscription { open }"}]
    async with client(protocol, sample.url, params(sample.key), operations) as running:
        assert of(await running.until(id=0, event="complete"))[0] == ("next", {"data": {"open": "x"}})
        await probe.until(lambda: probe.closed == 1)
        assert probe.opened == 2  # the other one is still open, and so is the socket of both


@BOTH
async def test_a_client_that_dies_closes_the_generator(sample: Served, protocol: str, probe: Probe):
    async with client(protocol, sample.url, params(sample.key), [{"query": "subscription { open }"}]) as running:
        await running.until(event="next")
        running.process.kill()
        await probe.until(lambda: probe.closed == 1)


@BOTH
async def test_a_revoked_key_ends_its_open_subscriptions_within_five_seconds(
    sample: Served, protocol: str, probe: Probe
):
    key = await sample.new_key(Scope.READ)
    listed = await sample.data("{ apiKeys { id prefix } }")
    number = next(each["id"] for each in listed["apiKeys"] if each["prefix"] == key[:9])
    async with client(protocol, sample.url, params(key), [{"query": "subscription { open }"}]) as running:
        await running.until(event="next")
        async with asyncio.timeout(5):
            await sample.data("mutation($i: ID!) { revokeApiKey(input: {id: $i}) { errors { code } } }", {"i": number})
            line = await running.line()
            while line["event"] == "pong":
                line = await running.line()
            assert code((line["event"], line["value"])) == "UNAUTHENTICATED"
            await probe.until(lambda: probe.closed == 1)
        rest = await running.rest()
    if protocol == "ws":
        # The client goes by itself (1000) once its last operation has ended, if our close does not come first.
        assert [line["code"] for line in rest if line["event"] == "closed"] in ([1000], [4403])
    else:
        assert [line["event"] for line in rest] == ["complete"]


async def test_the_socket_of_a_revoked_key_is_closed_even_when_it_is_idle(sample: Served):
    issued = await issue_key(sample.services.database, name="x", scopes=[Scope.READ])
    async with connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(issued.secret)
        await withdraw_key(sample.services.database, issued.key.id)
        async with asyncio.timeout(5):
            assert await socket.close_code() == 4403


@BOTH
async def test_no_key_no_stream(sample: Served, protocol: str):
    operations = [{"query": "subscription { open }"}]
    for wrong in ({}, params("sg_wrong"), {"Authorization": "Basic c2c6eA=="}):
        async with client(protocol, sample.url, wrong, operations) as running:
            lines = await running.rest()
        if protocol == "ws":
            assert [line["code"] for line in lines if line["event"] == "closed"] == [4403]
        else:
            assert of(lines)[0][1]["status"] == 401


async def test_the_client_pings_and_gets_its_pong(sample: Served):
    operations = [{"query": "subscription { open }"}]
    async with client("ws", sample.url, params(sample.key), operations) as running:
        await running.until(event="pong")


async def test_a_quiet_event_stream_gets_comments(sample: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.05)
    headers = sample.headers(Accept="text/event-stream")
    body = {"query": "subscription { open }"}
    comments = 0
    async with sample.http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            comments += line == ":"
            if comments == 3:
                break


async def test_a_get_may_stream_but_not_change(sample: Served):
    headers = sample.headers(Accept="text/event-stream")
    counted = await sample.http.get("/graphql", params={"query": "subscription { count(to: 1) }"}, headers=headers)
    assert 'data: {"data":{"count":0}}' in counted.text
    changed = await sample.http.get(
        "/graphql", params={"query": 'mutation { note(text: "x") { text } }'}, headers=headers
    )
    assert "mutations are not allowed" in changed.text


# ---------------------------------------------------------------- the protocol's own rules, message by message


class Socket:
    """A client that says what no good client says."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        return json.loads(await asyncio.wait_for(self.connection.recv(), 20))

    async def init(self, key: str, **more: str) -> None:
        await self.send({"type": "connection_init", "payload": params(key, **more)})
        assert await self.receive() == {"type": "connection_ack"}

    async def close_code(self) -> int:
        await asyncio.wait_for(self.connection.wait_closed(), 20)
        return self.connection.close_code


def connect(sample: Served, protocol: str | None = "graphql-transport-ws", **options: Any) -> Any:
    subprotocols = [websockets.Subprotocol(protocol)] if protocol else None
    url = sample.url.replace("http", "ws", 1) + "/graphql"
    return websockets.connect(url, subprotocols=subprotocols, compression=None, **options)


INIT = {"type": "connection_init"}
SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { open }"}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([SUBSCRIBE], 4401),
        ([INIT], 4403),
        ([{"type": "connection_init", "payload": "x"}], 4400),
        (["{"], 4400),
        (["[]"], 4400),
        (["1"], 4400),
        ([b"{}"], 4400),
        ([{"type": "start"}], 4400),
        ([{"type": "ping"}, {"type": "pong"}, SUBSCRIBE], 4401),
    ],
)
async def test_before_the_key_is_known(sample: Served, messages: list[Any], expected: int):
    async with connect(sample) as connection:
        socket = Socket(connection)
        for message in messages:
            await socket.send(message)
        assert await socket.close_code() == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([INIT], 4429),
        ([SUBSCRIBE, SUBSCRIBE], 4409),
        ([{"type": "subscribe", "payload": {"query": "{ hello }"}}], 4400),
        ([{"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}}], 4400),
        ([{"type": "subscribe", "id": ["1"], "payload": {"query": "{ hello }"}}], 4400),
        ([{"type": "subscribe", "id": "1"}], 4400),
        ([{"type": "subscribe", "id": "1", "payload": {"query": 1}}], 4400),
        ([{"type": "complete"}], 4400),
        ([{"type": "unknown"}], 4400),
        ([{}], 4400),
        ([{"type": ["subscribe"]}], 4400),
    ],
)
async def test_after_the_key_is_known(sample: Served, messages: list[Any], expected: int):
    async with connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(sample.key)
        for message in messages:
            await socket.send(message)
        assert await socket.close_code() == expected


@pytest.mark.parametrize("protocol", [None, "graphql-ws"])
async def test_other_subprotocols_are_not_spoken(sample: Served, protocol: str | None):
    async with connect(
        sample, None, additional_headers=[("Sec-WebSocket-Protocol", protocol)] if protocol else []
    ) as c:
        assert await Socket(c).close_code() == 4406


async def test_a_connection_that_says_nothing_is_closed(sample: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.1)
    async with connect(sample) as connection:
        assert await Socket(connection).close_code() == 4408


async def test_an_id_is_free_again_after_its_end(sample: Served):
    async with connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(sample.key)
        for _ in range(3):
            await socket.send({"type": "subscribe", "id": "1", "payload": {"query": "{ hello }"}})
            assert (await socket.receive())["type"] == "next"
            assert await socket.receive() == {"type": "complete", "id": "1"}


async def test_a_connection_has_so_many_operations_and_no_more(
    sample: Served, monkeypatch: pytest.MonkeyPatch, probe: Probe
):
    monkeypatch.setattr(websocket, "MAX_OPERATIONS", 2)
    async with connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(sample.key)
        for number in ("1", "2"):
            await socket.send({**SUBSCRIBE, "id": number})
            assert (await socket.receive())["type"] == "next"
        await socket.send({**SUBSCRIBE, "id": "3"})
        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "LIMIT")
        await socket.send({"type": "complete", "id": "1"})
        await probe.until(lambda: probe.closed == 1)
        await socket.send({**SUBSCRIBE, "id": "3"})
        assert (await socket.receive())["type"] == "next"


async def test_a_message_beyond_the_limit_ends_the_connection(sample: Served):
    async with connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(sample.key)
        await socket.send({"type": "ping", "payload": {"x": "y" * sample.services.settings.max_body_bytes}})
        assert await socket.close_code() == 1009


async def test_a_query_over_a_socket_has_the_same_time_limit(directory: Path, probe: Probe):
    async with served(directory, request_timeout_seconds=0.2) as sample, connect(sample) as connection:
        socket = Socket(connection)
        await socket.init(sample.key)
        await socket.send({"type": "subscribe", "id": "1", "payload": {"query": "{ sleep }"}})
        message = await socket.receive()
        await probe.until(lambda: probe.closed == 1)
    assert "TIMEOUT" in json.dumps(message)


async def test_pages_of_other_origins_cannot_connect(directory: Path):
    async with served(directory, cors_origins="https://front.example", public_url="https://gate.example/x") as sample:
        for origin in ("https://front.example", "https://gate.example", sample.url, None):
            async with connect(sample, origin=origin) as connection:
                await Socket(connection).init(sample.key)
        for origin in ("https://evil.example", "http://front.example", "null"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(sample, origin=origin)
            assert refused.value.response.status_code == 403


@pytest.mark.parametrize("kind", ["ws", "sse"])
async def test_a_client_that_stops_reading_stops_the_generator_and_is_let_go(
    sample: Served, kind: str, monkeypatch: pytest.MonkeyPatch, probe: Probe
):
    monkeypatch.setattr(websocket, "SEND_SECONDS", 1.0)
    monkeypatch.setattr(sse, "SEND_SECONDS", 1.0)
    query = "subscription { flood(size: 10000) }"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sample.url.rpartition(":")[2]), limit=4_096)
    if kind == "sse":
        body = json.dumps({"query": query}).encode()
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n"
            + f"Authorization: Bearer {sample.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
    else:
        writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        for message in (
            {"type": "connection_init", "payload": params(sample.key)},
            {"type": "subscribe", "id": "1", "payload": {"query": query}},
        ):
            writer.write(frame(json.dumps(message).encode()))
    await writer.drain()
    await probe.until(lambda: probe.closed == 1)  # nothing was read: the generator waited, then was closed
    assert 0 < probe.sent * 10_000 < 20_000_000  # the kernel's buffers hold some; we hold next to nothing
    writer.transport.abort()


def frame(payload: bytes) -> bytes:
    """A masked text frame with a mask of zeros."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload
