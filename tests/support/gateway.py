"""A running gateway: in this process and loop, or as `sluicegate serve` in a process that tests may kill."""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import websockets
from cryptography.fernet import Fernet
from starlette.applications import Starlette

from resolvers.services import Services
from sluicegate.app import create_app
from sluicegate.app.parts import Gateway
from sluicegate.app.server import GatewayServer, base_url, bind
from sluicegate.core.crypto import new_api_secret
from sluicegate.settings import Settings
from tests.support.processes import ServerProcess

WAIT_SECONDS = 30.0


@dataclass(slots=True)
class GraphQLClient:
    """Talks GraphQL to a gateway as a front end does: HTTP, and graphql-transport-ws for subscriptions."""

    url: str
    key: str
    http: httpx.AsyncClient

    async def graphql(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        namespace: str | None = None,
    ) -> dict[str, Any]:
        """The whole answer, `{"data": …, "errors": […]}`. `key`: another than the admin's; "" sends none."""
        response = await self.http.post(
            "/graphql", json={"query": query, "variables": dict(variables or {})}, headers=self.headers(key, namespace)
        )
        return response.json()

    async def data(self, query: str, variables: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = await self.graphql(query, variables, **options)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        namespace: str | None = None,
    ) -> AsyncGenerator[dict[str, Any]]:
        """The `next` payloads of a subscription until it completes. Raises AssertionError for an `error` message."""
        async with websockets.connect(
            self.url.replace("http", "ws", 1) + "/graphql",
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        ) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": self.headers(key, namespace)}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            payload = {"query": query, "variables": dict(variables or {})}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next":
                    yield message["payload"]
                elif message["type"] == "complete":
                    return
                elif message["type"] == "ping":
                    await socket.send('{"type": "pong"}')
                else:
                    raise AssertionError(message)

    def as_other(self, key: str) -> "GraphQLClient":
        """The same gateway with another key."""
        return GraphQLClient(self.url, key, self.http)

    def headers(self, key: str | None = None, namespace: str | None = None) -> dict[str, str]:
        """The headers of a request with this key (None: the admin's)."""
        key = self.key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return headers | ({"X-Namespace": namespace} if namespace else {})


@dataclass(slots=True)
class RunningGateway(GraphQLClient):
    """A gateway in this process."""

    app: Starlette
    server: GatewayServer
    data_dir: Path

    @property
    def gateway(self) -> Gateway:
        """Its parts, and whether it drains."""
        return self.app.state.gateway

    @property
    def services(self) -> Services:
        """What its resolvers use."""
        return self.gateway.services


@asynccontextmanager
async def running_gateway(
    *, data_dir: Path | None = None, worker: bool = True, **settings: Any
) -> AsyncGenerator[RunningGateway]:
    """A gateway on a free port of 127.0.0.1, drained and closed at the end. `settings`: those of `Settings` by name.

    Without `data_dir` it has one of its own for its time. An admin key and a secret key are given unless `settings` do.
    """
    async with AsyncExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sluicegate-test-")))
        key = settings.setdefault("bootstrap_key", new_api_secret())
        if settings.get("database_url") is not None:
            settings.setdefault("secret_key", Fernet.generate_key().decode())
        app = create_app(Settings(data_dir=data_dir, **settings), worker=worker)
        await stack.enter_async_context(app.router.lifespan_context(app))
        listener = bind("127.0.0.1", 0)
        server = GatewayServer(app, take_signals=False)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stack.push_async_callback(_end, server, serving)
        url = base_url(listener)
        await asyncio.wait_for(server.listening.wait(), WAIT_SECONDS)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS, trust_env=False))
        yield RunningGateway(url, key, http, app, server, data_dir)


async def _end(server: GatewayServer, serving: asyncio.Task[None]) -> None:
    await server.drain()
    await serving


@dataclass(slots=True)
class GatewayProcess(GraphQLClient):
    """`sluicegate serve` in a process of its own. `process` takes signals."""

    process: ServerProcess
    data_dir: Path

    @property
    def output(self) -> str:
        """The last lines that it logged."""
        return self.process.output


@asynccontextmanager
async def gateway_process(
    data_dir: Path, env: Mapping[str, str] | None = None, *, arguments: tuple[str, ...] = (), key: str | None = None
) -> AsyncGenerator[GatewayProcess]:
    """`sluicegate serve --port 0` on this directory, ended by SIGTERM (or killed) at the end.

    `key`: the bootstrap key; give the same one to start again on the same directory. `env`: besides a bare environment.
    """
    key = key or new_api_secret()
    process = ServerProcess(
        [Path(sys.executable).parent / "sluicegate", "serve", "--port", "0", "--data-dir", data_dir, *arguments],
        env={**bare_environment(), "SLUICEGATE_BOOTSTRAP_KEY": key, **(env or {})},
    )
    try:
        url = await asyncio.to_thread(listening_url, process)
        async with httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS, trust_env=False) as http:
            yield GatewayProcess(url, key, http, process, data_dir)
    finally:
        await asyncio.to_thread(process.stop)


@asynccontextmanager
async def worker_process(env: Mapping[str, str], *arguments: str) -> AsyncGenerator[ServerProcess]:
    """`sluicegate worker`, running jobs; ended by SIGTERM (or killed) at the end."""
    process = ServerProcess(
        [Path(sys.executable).parent / "sluicegate", "worker", *arguments], env={**bare_environment(), **env}
    )
    try:
        await asyncio.to_thread(process.wait_for, "Running jobs", WAIT_SECONDS)
        yield process
    finally:
        await asyncio.to_thread(process.stop)


def listening_url(process: ServerProcess) -> str:
    """The address that a serving process says it listens on, waiting for it."""
    line = process.wait_for(r"Listening on http://", WAIT_SECONDS)
    found = re.search(r"http://[\w.:\[\]-]+", line)
    assert found is not None
    return found[0]


def bare_environment() -> dict[str, str]:
    """The environment without settings of ours and without proxies: nothing of the machine leaks into a test."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLUICEGATE_") and not name.lower().endswith("_proxy")
    }


async def first(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    """The next payload of a subscription. Raises TimeoutError after 30 s."""
    return await asyncio.wait_for(anext(events), WAIT_SECONDS)


def new_name(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid4().hex[:8]}"
