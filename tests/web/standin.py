"""The least of a gateway that the page needs: the shape of the schema's `viewer`, `providers` and `job`."""

import asyncio
import enum
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import Info

from gql.graphiql import graphiql_page, static_routes

KEY = "sg_test_0123456789abcdefghijklmnop"
UPDATES = 5
JOB_ID = "job-1"

go_on = asyncio.Event()
"""Set, the job that waits runs to its end."""


@strawberry.enum
class Scopes(enum.Enum):
    READ = "READ"


@strawberry.type
class Named:
    id: strawberry.ID
    name: str


@strawberry.type
class Viewer:
    actor: Named
    namespace: Named
    scopes: list[Scopes]


@strawberry.type
class Provider:
    type: str
    name: str
    available: bool
    install_hint: str | None
    source_path_format: str
    capabilities: list[str]


@strawberry.type
class JobError:
    message: str
    hint: str | None


@strawberry.interface
class Job:
    id: strawberry.ID
    status: str
    progress: float | None
    revision: int
    error: JobError | None


@strawberry.type
class SyncProgress:
    phase: str
    objects_found: int
    objects_synced: int
    objects_unchanged: int = 0
    objects_failed: int = 0
    objects_missing: int = 0
    bytes_synced: int = 0
    objects_per_second: float | None = None
    eta_seconds: int | None = None
    current_object: str | None = None


@strawberry.type
class SyncJob(Job):
    sync: SyncProgress


@strawberry.type
class Query:
    @strawberry.field(description="Who the key belongs to.")
    def viewer(self) -> Viewer:
        return Viewer(
            actor=Named(id=strawberry.ID("a"), name="first key"),
            namespace=Named(id=strawberry.ID("n"), name="default"),
            scopes=[Scopes.READ],
        )

    @strawberry.field
    def providers(self) -> list[Provider]:
        return [
            Provider(
                type="S3",
                name="Amazon S3",
                available=True,
                install_hint=None,
                source_path_format="bucket/prefix",
                capabilities=[],
            )
        ]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def job(self, info: Info, id: strawberry.ID) -> AsyncIterator[Job]:  # noqa: A002 - the schema's name
        yield _state(id, "SCHEDULED", 0)
        await go_on.wait()
        for count in range(1, UPDATES):
            yield _state(id, "IN_PROGRESS", count)
            await asyncio.sleep(0.15)
        yield _state(id, "COMPLETED", UPDATES)


def _state(job_id: strawberry.ID, status: str, count: int) -> SyncJob:
    sync = SyncProgress(phase="DONE" if count == UPDATES else "IMPORTING", objects_found=5, objects_synced=count)
    return SyncJob(id=job_id, status=status, progress=count / UPDATES, revision=count * 4096, error=None, sync=sync)


class Endpoint(GraphQL[Any, Any]):
    """GraphQL behind one key, over HTTP and over the WebSocket."""

    async def on_ws_connect(self, context: dict[str, Any]) -> None:
        if context["connection_params"].get("Authorization") != f"Bearer {KEY}":
            raise ConnectionRejectionError


def build_app() -> Starlette:
    schema = strawberry.Schema(Query, subscription=Subscription, types=[SyncJob])
    endpoint = Endpoint(schema, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,))

    class Http:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            answer: Response | None = None
            if request.method == "GET":
                answer = await graphiql_page(request)
            elif request.headers.get("authorization") != f"Bearer {KEY}":
                answer = PlainTextResponse("This needs a key.", 401)
            await (endpoint if answer is None else answer)(scope, receive, send)

    async def connect(websocket: WebSocket) -> None:
        await endpoint(websocket.scope, websocket.receive, websocket.send)

    return Starlette(routes=[Route("/graphql", Http()), WebSocketRoute("/graphql", connect), *static_routes()])


@asynccontextmanager
async def running_standin() -> AsyncGenerator[str]:
    """The stand-in on a free port of loopback; gives its address."""
    go_on.clear()
    config = uvicorn.Config(build_app(), log_level="warning", lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            server.force_exit = True
            await serving
