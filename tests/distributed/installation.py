"""An installation of many processes whose parts a test kills, stops, starts again and cuts off from one another."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websockets
from sqlalchemy import text

from models.database import ALL, Database
from sluicegate.core.crypto import new_api_secret, new_secret_key
from tests.support.gateway import GatewayProcess, GraphQLClient, gateway_process, worker_process
from tests.support.postgres import PostgresServer
from tests.support.processes import ServerProcess
from tests.support.proxy import Proxy
from tests.support.s3_responder import S3Responder
from tests.support.valkey import ValkeyServer

GATEWAYS, WORKERS = 2, 3
LOST = (OSError, TimeoutError, httpx.HTTPError, websockets.WebSocketException)
"""What a client meets when its gateway dies."""


@dataclass(slots=True)
class Part:
    """A process of ours that can be started again."""

    stack: AsyncExitStack
    process: ServerProcess
    client: GatewayProcess | None = None


@dataclass
class Installation:
    """Its own processes reach PostgreSQL and Valkey through proxies, which can break every connection."""

    s3: S3Responder
    postgres: PostgresServer
    valkey: ValkeyServer
    to_postgres: Proxy
    to_valkey: Proxy
    database: Database
    env: dict[str, str]
    folder: Path
    key: str = field(default_factory=new_api_secret)
    gateways: list[Part] = field(default_factory=list[Part])
    workers: list[Part] = field(default_factory=list[Part])

    async def start_gateway(self, place: int) -> Part:
        """`sluicegate serve --no-worker`."""
        stack = AsyncExitStack()
        made = gateway_process(self.folder / f"gateway{place}", self.env, arguments=("--no-worker",), key=self.key)
        client = await stack.enter_async_context(made)
        return Part(stack, client.process, client)

    async def start_worker(self) -> Part:
        """`sluicegate worker`."""
        stack = AsyncExitStack()
        return Part(stack, await stack.enter_async_context(worker_process(self.env)))

    @property
    def client(self) -> GraphQLClient:
        """Of a gateway that runs."""
        return self.client_of(0)

    def client_of(self, place: int) -> GraphQLClient:
        """Of gateway `place`, or the next one that runs."""
        alive = [part for part in self.gateways[place:] + self.gateways[:place] if part.process.returncode is None]
        client = (alive or self.gateways)[0].client
        assert client is not None
        return client

    async def holder(self) -> int | None:
        """The place of the worker that runs the newest job."""
        async with self.database.read(ALL) as session:
            named = await session.scalar(text("SELECT worker_id FROM job ORDER BY id DESC LIMIT 1"))
        return next(
            (place for place, part in enumerate(self.workers) if named and f":{part.process.pid}:" in named), None
        )

    async def describe(self) -> str:
        """The jobs, and what the processes wrote last: for a test that fails."""
        async with self.database.read(ALL) as session:
            rows = (await session.execute(text("SELECT id, status, fence, worker_id, lease_expires_at FROM job"))).all()
        outputs = (f"{part.process.pid}: {part.process.output[-4_000:]}" for part in (*self.gateways, *self.workers))
        return "\n".join([*map(str, rows), *outputs])

    # ------------------------------------------------------------------ what goes wrong
    async def kill_worker(self) -> None:
        """SIGKILL to the worker that has the job, and another in its place."""
        place = await self.holder() or 0
        await asyncio.to_thread(self.workers[place].process.kill)
        self.workers[place] = await self.start_worker()

    async def freeze_worker(self) -> None:
        """SIGSTOP to the worker that has the job until another has taken it over, then SIGCONT."""
        place = await self.holder()
        if place is None:
            return
        frozen = self.workers[place].process
        frozen.send(signal.SIGSTOP)
        try:
            async with asyncio.timeout(40):
                while await self.holder() == place:  # noqa: ASYNC110 - nothing tells of it between processes
                    await asyncio.sleep(0.1)
        finally:
            frozen.send(signal.SIGCONT)

    async def end_worker(self) -> None:
        """SIGTERM to the worker that has the job: a rolling restart."""
        place = await self.holder() or 0
        await asyncio.to_thread(self.workers[place].process.stop)
        self.workers[place] = await self.start_worker()

    async def kill_gateway(self) -> None:
        """SIGKILL to a gateway, and another in its place."""
        await asyncio.to_thread(self.gateways[0].process.kill)
        self.gateways[0] = await self.start_gateway(0)
        self.gateways.reverse()

    async def kill_postgres(self) -> None:
        """SIGKILL to every process of the server; it recovers from its log."""
        await asyncio.to_thread(self.postgres.kill)
        await asyncio.to_thread(self.postgres.start)

    async def kill_valkey(self) -> None:
        """SIGKILL, and an empty one in its place."""
        await asyncio.to_thread(self.valkey.kill)
        await asyncio.to_thread(self.valkey.start)

    async def freeze_valkey(self) -> None:
        """Its connections stay open and nobody answers, for longer than the hubs wait for their echo."""
        self.valkey.pause()
        try:
            await asyncio.sleep(6)
        finally:
            self.valkey.resume()

    async def reset_connections(self) -> None:
        """Every connection to the database and the channel ends as by a RST."""
        self.to_postgres.reset()
        self.to_valkey.reset()

    # ------------------------------------------------------------------ what a client sees
    async def ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of an answer, from whichever gateway gives one."""
        async with asyncio.timeout(60):
            while True:
                try:
                    answer = await self.client.graphql(query, variables)
                except LOST:
                    answer = {}
                if answer.get("data") is not None and "errors" not in answer:
                    return answer["data"]
                await asyncio.sleep(0.2)
                self.gateways.reverse()

    async def watch(self, place: int, query: str, job: str) -> dict[str, Any]:
        """The job as its subscription shows it last; a client that loses its gateway goes to another."""
        while True:
            try:
                async with aclosing(self.client_of(place).subscribe(query, {"id": job})) as events:
                    async for payload in events:
                        state = (payload.get("data") or {}).get("job")
                        if state is not None and state["finishedAt"] is not None:
                            return state
            except (*LOST, AssertionError):
                place += 1
            await asyncio.sleep(0.2)


@asynccontextmanager
async def installation(folder: Path) -> AsyncGenerator[Installation]:
    """All of it, with an empty bucket."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        valkey = stack.enter_context(ValkeyServer())
        s3 = await stack.enter_async_context(S3Responder())
        to_postgres = await stack.enter_async_context(Proxy(postgres.port))
        to_valkey = await stack.enter_async_context(Proxy(valkey.port))
        url = await postgres.create_database()
        database = Database(url)
        stack.push_async_callback(database.close)
        env = {
            "SLUICEGATE_DATABASE_URL": url.replace(f":{postgres.port}/", f":{to_postgres.port}/"),
            "SLUICEGATE_EVENTS_URL": f"redis://127.0.0.1:{to_valkey.port}",
            "SLUICEGATE_SECRET_KEY": new_secret_key(),
            "SLUICEGATE_ALLOWED_ENDPOINTS": "127.0.0.1",
        }
        made = Installation(s3, postgres, valkey, to_postgres, to_valkey, database, env, folder)
        try:
            for place in range(GATEWAYS):
                made.gateways.append(await made.start_gateway(place))
            made.workers += await asyncio.gather(*(made.start_worker() for _ in range(WORKERS)))
            yield made
        finally:
            for part in (*made.gateways, *made.workers):
                await asyncio.to_thread(part.process.kill)
                await part.stack.aclose()
