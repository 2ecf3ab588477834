"""A small schema with everything that can go wrong in it, served as the gateway serves its own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import strawberry
import uvicorn
from starlette.applications import Starlette

from gql.context import Info
from gql.errors import payload
from gql.execution import Limits, build_schema
from gql.http import routes
from gql.mutations.create_api_key import create_api_key
from gql.mutations.create_namespace import create_namespace
from gql.mutations.revoke_api_key import revoke_api_key
from gql.permissions import Scope, requires
from gql.scalars import JSON, BigInt
from gql.types.access import ApiKey, Viewer
from gql.types.errors import ConflictError, InputError, NotFoundError, ProviderError, UserError
from models import migrate
from models.database import Database
from resolvers import access
from resolvers.operator_keys import ensure_bootstrap_key, issue_key
from resolvers.services import Services
from sluicegate.core import errors
from sluicegate.core.crypto import SecretBox, new_api_secret, new_secret_key
from sluicegate.settings import Settings

READ = requires(Scope.READ)
WRITE = requires(Scope.WRITE)
ADMIN = requires(Scope.ADMIN)
SECRET = "postgresql://user:hunter2@db/x"


@dataclass
class Probe:
    """What the sample's resolvers tell the tests."""

    opened: int = 0
    closed: int = 0
    sent: int = 0
    loaders: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self.changed.wait()


PROBES = [Probe()]
"""The last is of the test that runs; what an earlier test left open reports to its own."""


@strawberry.type
class Row:
    id: int
    name: str
    size: BigInt

    @strawberry.field
    def children(self, first: int | None = None) -> list["Row"]:
        return [Row(id=number, name=f"child {number}", size=number) for number in range(2)]

    @strawberry.field
    def tags(self) -> list["Row"]:
        return []


@strawberry.type
class Rows:
    nodes: list[Row]


@strawberry.type
class NotePayload:
    text: str | None = None
    errors: list[UserError] = strawberry.field(default_factory=list[UserError])


@payload(NotePayload)
async def note(info: Info, text: str) -> NotePayload:
    match text:
        case "missing":
            raise errors.NotFoundError("No such note.", path=("text",))
        case "busy":
            raise errors.ConflictError("In use.", path=("text",), hint="Try later.")
        case "down":
            raise errors.RetriableError("The provider is away.", provider_code="SlowDown")
        case "bug":
            raise RuntimeError(SECRET)
        case _:
            return NotePayload(text=text)


@strawberry.type
class Query:
    @strawberry.field(extensions=READ)
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field(extensions=READ)
    def echo(self, value: JSON) -> JSON:
        return value

    @strawberry.field(extensions=READ)
    def rows(self, first: int | None = None, last: int | None = None) -> Rows:
        return Rows(nodes=[Row(id=number, name=f"row {number}", size=2**40 + number) for number in range(first or 3)])

    @strawberry.field(extensions=READ)
    def by_ids(self, ids: list[strawberry.ID]) -> list[Row]:
        return []

    @strawberry.field(extensions=READ)
    def bug(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field(extensions=READ)
    async def refuse(self) -> str:
        raise errors.NotFoundError("No such thing.", hint="Look elsewhere.")

    @strawberry.field(extensions=READ)
    async def sleep(self) -> str:
        probe = PROBES[-1]
        probe.opened += 1
        probe.notice()
        try:
            await asyncio.Event().wait()
        finally:
            probe.closed += 1
            probe.notice()
        return "never"

    @strawberry.field(extensions=READ)
    def viewer(self, info: Info) -> Viewer:
        return Viewer.of(info.context.viewer)

    @strawberry.field(extensions=ADMIN)
    async def api_keys(self, info: Info) -> list[ApiKey]:
        keys = await access.list_keys(info.context.services, info.context.viewer)
        return [ApiKey.of(key) for key in keys]


@strawberry.type
class Mutation:
    note = strawberry.mutation(note, extensions=WRITE)
    create_api_key = strawberry.mutation(create_api_key, extensions=ADMIN)
    revoke_api_key = strawberry.mutation(revoke_api_key, extensions=ADMIN)
    create_namespace = strawberry.mutation(create_namespace, extensions=ADMIN)


@strawberry.type
class Subscription:
    @strawberry.subscription(extensions=READ)
    async def count(self, to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription(extensions=READ)
    async def open(self, info: Info, size: int = 1) -> AsyncGenerator[str, None]:
        """One value, then silence until it is closed."""
        probe = PROBES[-1]
        probe.opened += 1
        probe.notice()
        try:
            yield "x" * size
            await asyncio.Event().wait()
        finally:
            probe.closed += 1
            probe.notice()

    @strawberry.subscription(extensions=READ)
    async def flood(self, size: int = 10_000) -> AsyncGenerator[str, None]:
        """As much as the client takes."""
        probe = PROBES[-1]
        probe.opened += 1
        try:
            while True:
                probe.sent += 1
                yield "x" * size
        finally:
            probe.closed += 1
            probe.notice()

    @strawberry.subscription(extensions=READ)
    async def rows(self, to: int) -> AsyncGenerator[Rows, None]:
        for number in range(to):
            yield Rows(nodes=[Row(id=number, name="row", size=number)])

    @strawberry.subscription(extensions=READ)
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError(SECRET)


TYPES = [InputError, NotFoundError, ConflictError, ProviderError]


def make_schema(limits: Limits | None = None) -> strawberry.Schema:
    return build_schema(Query, Mutation, Subscription, TYPES, limits=limits)


@dataclass
class Served:
    """A server on loopback with the sample schema, and its first key."""

    url: str
    key: str
    services: Services
    http: httpx.AsyncClient

    def headers(self, key: str | None = None, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key if key is None else key}", **more}

    async def post(
        self, query: Any, variables: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return await self.http.post("/graphql", json=body, headers=self.headers(key, **headers))

    async def data(self, query: str, variables: Any = None, **options: str) -> Any:
        answer = (await self.post(query, variables, **options)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def new_key(self, *scopes: Scope, **options: Any) -> str:
        return (await issue_key(self.services.database, name="test", scopes=scopes, **options)).secret


@asynccontextmanager
async def served(
    directory: Path, schema: strawberry.Schema | None = None, *, database_url: str | None = None, **settings: Any
) -> AsyncGenerator[Served]:
    """The sample, served by uvicorn as the gateway is. `settings`: of the gateway, by name."""
    key = new_api_secret()
    database = Database(database_url or f"sqlite:///{directory / 'sample.db'}")
    await migrate.upgrade(database)
    configured = Settings.model_validate({"data_dir": directory, "bootstrap_key": key, **settings})
    await ensure_bootstrap_key(database, configured)
    nothing = cast("Any", None)  # parts that the sample does not use
    sync = cast("Any", SimpleNamespace(local_roots={}))
    services = Services(configured, database, SecretBox([new_secret_key()]), nothing, nothing, nothing, sync)
    app = Starlette(routes=routes(services, schema or make_schema()))
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_queue=16,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    loop = asyncio.create_task(server.main_loop())
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield Served(url, key, services, http)
    finally:
        server.should_exit = True
        await loop
        await server.shutdown()
        await services.keys.close()
        await database.close()
