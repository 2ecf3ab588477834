"""CPU time a request of the gateway's HTTP path against stock Strawberry, same schema, same server, same run.

Run: python -m benchmarks.graphql [--requests 2000]. Both applications are called in this process without a socket, so
that only their own work counts: reading the body, key, parsing, validating, limits, executing, writing JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from time import process_time
from typing import Any, cast

import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL

from gql.execution import build_schema
from gql.http import routes
from gql.permissions import Scope, requires
from models import migrate
from models.database import Database
from resolvers.operator_keys import ensure_bootstrap_key
from resolvers.services import Services
from sluicegate.core.crypto import SecretBox, new_api_secret, new_secret_key
from sluicegate.settings import Settings

READ = requires(Scope.READ)


@strawberry.type
class Row:
    """Ten plain fields."""

    id: strawberry.ID
    name: str
    status: str
    size: int
    revision: int
    created: str
    path: str
    kind: str
    note: str | None
    count: int


@strawberry.type
class Rows:
    """A page."""

    nodes: list[Row]


def rows(first: int) -> Rows:
    return Rows(
        nodes=[
            Row(
                id=strawberry.ID(str(n)),
                name=f"row {n}",
                status="DONE",
                size=n,
                revision=n,
                count=n,
                kind="S3",
                note=None,
                created="2026-01-01T00:00:00Z",
                path=f"a/b/{n}",
            )
            for n in range(first)
        ]
    )


@strawberry.type(name="Query")
class StockQuery:
    """As anybody would write it."""

    @strawberry.field
    def rows(self, first: int) -> Rows:
        """A page of rows."""
        return rows(first)


@strawberry.type
class Query:
    """The same with a scope."""

    @strawberry.field(extensions=READ)
    def rows(self, first: int) -> Rows:
        """A page of rows."""
        return rows(first)


PAGE = "query($n: Int!) { rows(first: $n) { nodes { id name status size revision created path kind note count } } }"
OPERATIONS: dict[str, dict[str, Any]] = {
    "{ __typename }": {"query": "{ __typename }"},
    "page of 50 rows, 10 fields": {"query": PAGE, "variables": {"n": 50}},
}


class Caller:
    """Calls an ASGI application with one body again and again."""

    def __init__(self, app: Any, body: dict[str, Any], key: str) -> None:
        self._app = app
        self._body = json.dumps(body).encode()
        self._headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            (b"content-length", str(len(self._body)).encode()),
            (b"authorization", f"Bearer {key}".encode()),
        ]

    async def call(self) -> bytes:
        """The body of one response."""
        answer: list[bytes] = []
        waiting = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200, message
            else:
                answer.append(message["body"])

        scope = {
            "type": "http", "method": "POST", "path": "/graphql", "raw_path": b"/graphql", "query_string": b"",
            "root_path": "", "scheme": "http", "http_version": "1.1", "headers": list(self._headers), "state": {},
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "asgi": {"version": "3.0", "spec_version": "2.3"},
        }  # fmt: skip
        await self._app(scope, receive, send)
        return b"".join(answer)


@asynccontextmanager
async def gateway() -> AsyncGenerator[tuple[Any, str]]:
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{Path(directory) / 'benchmark.db'}")
        await migrate.upgrade(database)
        key = new_api_secret()
        settings = Settings.model_validate({"data_dir": directory, "bootstrap_key": key})
        await ensure_bootstrap_key(database, settings)
        nothing = cast("Any", None)
        services = Services(settings, database, SecretBox([new_secret_key()]), nothing, nothing, nothing, nothing)
        yield Starlette(routes=routes(services, build_schema(Query))), key
        await services.keys.close()
        await database.close()


async def measure(caller: Caller, requests: int) -> float:
    """CPU milliseconds a request, the best of five rounds: the machine has other work too."""
    best = float("inf")
    for _ in range(5):
        started = process_time()
        for _ in range(requests // 5):
            await caller.call()
        best = min(best, (process_time() - started) / (requests // 5) * 1_000)
    return best


async def main(requests: int) -> None:
    stock = Starlette(routes=[Route("/graphql", GraphQL(strawberry.Schema(StockQuery)))])
    async with gateway() as (ours, key):
        print(f"{'':28}{'stock':>10}{'ours':>10}{'ratio':>8}")
        for name, body in OPERATIONS.items():
            callers = [Caller(stock, body, key), Caller(ours, body, key)]
            answers = [json.loads(await caller.call()) for caller in callers]
            assert answers[0] == answers[1], name
            theirs, mine = [await measure(caller, requests) for caller in callers]
            print(f"{name:28}{theirs:8.3f} ms{mine:8.3f} ms{theirs / mine:7.1f}x")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    asyncio.run(main(parser.parse_args().requests))
