"""A subscription that stays open for ever stays small, and no event answers from an earlier one's memory."""

import gc
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gql.context import Context
from gql.execution import build_schema
from gql.execution.executor import EventExecutor
from gql.permissions import Scope, requires

READ = requires(Scope.READ)


@strawberry.type
class Leaf:
    name: str


@strawberry.type
class Thing:
    leaf: Leaf
    context: strawberry.Private[Any] = None

    @strawberry.field
    def loaders(self, info: strawberry.Info[Any, Any]) -> int:
        info.context.loaders.append(1)
        return len(info.context.loaders)


@strawberry.type
class Query:
    @strawberry.field(extensions=READ)
    def nothing(self) -> int:
        return 0


@strawberry.type
class Subscription:
    @strawberry.subscription(extensions=READ)
    async def things(self, count: int) -> AsyncGenerator[Thing, None]:
        for _ in range(count):
            yield Thing(leaf=Leaf(name="x"))


@dataclass
class Surroundings:
    viewer: Any
    loaders: list[int]

    def fork(self) -> "Surroundings":
        return Surroundings(self.viewer, [])


def surroundings() -> Surroundings:
    return Surroundings(SimpleNamespace(scopes=frozenset(Scope)), [])


async def growth(executor: type[Any], events: int) -> tuple[int, int]:
    """Objects and blocks of memory that are there after so many events and were not after a tenth of them."""
    schema = build_schema(Query, None, Subscription)
    schema.execution_context_class = executor
    query = f"subscription {{ things(count: {events}) {{ leaf {{ name }} }} }}"
    counts: list[tuple[int, int]] = []
    seen = 0
    async for _ in await schema.subscribe(query, context_value=surroundings()):
        seen += 1
        if seen in (events // 10, events):
            gc.collect()
            counts.append((len(gc.get_objects()), sys.getallocatedblocks()))
    assert seen == events
    return counts[1][0] - counts[0][0], counts[1][1] - counts[0][1]


async def test_an_open_subscription_does_not_grow_with_its_events():
    objects, blocks = await growth(EventExecutor, 20_000)
    assert objects < 200
    assert blocks < 2_000


async def test_without_our_executor_it_would():
    objects, _ = await growth(StrawberryGraphQLCoreExecutionContext, 2_000)
    assert objects > 1_800, "graphql-core no longer leaks: EventExecutor can go"


async def test_each_event_has_loaders_of_its_own():
    schema = build_schema(Query, None, Subscription)
    query = "subscription { things(count: 3) { loaders again: loaders } }"
    results = [result.data async for result in await schema.subscribe(query, context_value=surroundings())]
    assert results == [{"things": {"loaders": 1, "again": 2}}] * 3


def test_a_fork_shares_everything_but_the_loaders():
    services: Any = object()
    viewer: Any = object()
    request: Any = object()
    context = Context(services, viewer, request, "id")
    fork = context.fork()
    assert (fork.services, fork.viewer, fork.request, fork.request_id) == (services, viewer, request, "id")
    assert fork is not context
