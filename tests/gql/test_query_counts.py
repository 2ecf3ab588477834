"""How many statements an answer costs: no more with more rows, and none for what is not selected."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType
from sqlalchemy import event
from sqlalchemy.engine import Engine

from models.database import Database
from models.outcomes import Outcome
from sluicegate.core.ids import encode_id
from tests.gql.tenants import START, Tenant, number

FEW, MANY = 2, 7


@contextmanager
def counted(database: Database) -> Generator[list[str]]:
    """The statements that read in a namespace: all that resolvers do, and nothing that the gateway does beside them."""
    found: list[str] = []
    engine: Engine = database._reader.sync_engine

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "namespace_id = " in statement:
            found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


# Each connection of the schema, and every nested field of its nodes.
STORAGE = "id title status project { name } lastSyncJob { id } jobs(first: 2) { totalCount nodes { id } }"
JOB = (
    "id status ... on SyncJob { storage { title project { name } } syncConfig { name } sync { phase } outcomesUrl "
    "outcomes(first: 2) { totalCount nodes { path kind } } batches(first: 2) { totalCount nodes { number } } }"
)
CONFIG = (
    "id name lock { workerId } resume { cursor objectsProcessed } health { healthy deadLetters } currentJob { id } "
    "lastJob { id } project { name } storage { title } jobs(first: 2) { totalCount nodes { id } } "
    "batches(first: 2) { nodes { number } } deadLetters(first: 2) { nodes { path } }"
)
BATCH = "id number taskId status job { id status }"
LETTER = "id path row status storage { title } syncConfig { name }"
OBJECT = "id path url blobs { uri url } project { name } storage { title project { name } } syncConfig { name }"
PROJECT = (
    "id name namespace { name } stats { objects } "
    "storages(first: 2) { totalCount nodes { title jobs { nodes { id } } syncConfigs { totalCount } } } "
    "syncConfigs(first: 2) { totalCount nodes { name health { healthy } } } "
    "objects(first: 2) { totalCount nodes { path storage { title } } }"
)
LISTS = {
    "Query.projects": f"query($n: Int!) {{ projects(first: $n) {{ totalCount nodes {{ {PROJECT} }} }} }}",
    "Query.storages": f"query($n: Int!) {{ storages(first: $n) {{ totalCount nodes {{ {STORAGE} }} }} }}",
    "Query.syncConfigs": f"query($n: Int!) {{ syncConfigs(first: $n) {{ totalCount nodes {{ {CONFIG} }} }} }}",
    "Query.jobs": f"query($n: Int!) {{ jobs(first: $n) {{ totalCount nodes {{ {JOB} }} }} }}",
    "Project.storages": (
        f"query($n: Int!, $p: ID!) {{ project(id: $p) {{ storages(first: $n) {{ nodes {{ {STORAGE} }} }} }} }}"
    ),
    "Project.syncConfigs": (
        f"query($n: Int!, $p: ID!) {{ project(id: $p) {{ syncConfigs(first: $n) {{ nodes {{ {CONFIG} }} }} }} }}"
    ),
    "Storage.syncConfigs": (
        f"query($n: Int!, $s: ID!) {{ storage(id: $s) {{ syncConfigs(first: $n) {{ nodes {{ {CONFIG} }} }} }} }}"
    ),
    "SyncConfig.jobs": (
        f"query($n: Int!, $c: ID!) {{ syncConfig(id: $c) {{ jobs(first: $n) {{ nodes {{ {JOB} }} }} }} }}"
    ),
    "SyncConfig.batches": (
        f"query($n: Int!, $c: ID!) {{ syncConfig(id: $c) {{ batches(first: $n) {{ nodes {{ {BATCH} }} }} }} }}"
    ),
    "SyncConfig.deadLetters": (
        f"query($n: Int!, $c: ID!) {{ syncConfig(id: $c) {{ deadLetters(first: $n) {{ nodes {{ {LETTER} }} }} }} }}"
    ),
    "SyncJob.batches": (
        "query($n: Int!, $j: ID!) { job(id: $j) { ... on SyncJob { "
        f"batches(first: $n) {{ nodes {{ {BATCH} }} }} }} }} }}"
    ),
    "SyncJob.outcomes": (
        "query($n: Int!, $j: ID!) { job(id: $j) { ... on SyncJob { "
        "outcomes(first: $n) { nodes { path row kind at } } } } }"
    ),
    "Query.deadLetters": f"query($n: Int!) {{ deadLetters(first: $n) {{ totalCount nodes {{ {LETTER} }} }} }}",
    "Project.objects": (
        f"query($n: Int!, $p: ID!) {{ project(id: $p) {{ objects(first: $n) {{ nodes {{ {OBJECT} }} }} }} }}"
    ),
    "Storage.jobs": f"query($n: Int!, $s: ID!) {{ storage(id: $s) {{ jobs(first: $n) {{ nodes {{ {JOB} }} }} }} }}",
    "Query.nodes": f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ id ... on SyncedObject {{ {OBJECT} }} }} }}",
}


@pytest.fixture
async def filled(tenant: Tenant) -> dict[str, Any]:
    """Several of everything, each below another."""
    projects = await tenant.add(*tenant.projects(MANY))
    storages = [(await tenant.add(*tenant.storages(project, 2)))[0] for project in projects]
    first = await tenant.add(*tenant.storages(projects[0], MANY))
    for project, storage in zip([*projects, *[projects[0]] * MANY], [*storages, *first], strict=True):
        jobs = [{"storage_id": number(storage), "project_id": number(project)}] * 3
        await tenant.add(*tenant.jobs(jobs))
        await tenant.add(*tenant.objects(project, storage, ["a.png", "b.png"]))
    jobs = [
        {"storage_id": number(storage), "project_id": number(projects[0])} for storage in [*first, *[first[0]] * MANY]
    ]
    await tenant.add(*tenant.jobs(jobs))
    objects = await tenant.add(*tenant.objects(projects[0], first[0], [f"{index}.txt" for index in range(MANY)]))
    configs = await tenant.add(*tenant.configs(projects[0], first[0], MANY), *tenant.configs(projects[1], first[0], 2))
    of = {"storage_id": number(first[0]), "project_id": number(projects[0]), "sync": {"derivedAdditions": True}}
    await tenant.add(*tenant.jobs([{**of, "sync_config_id": number(config)} for config in [*configs] * 2]))
    jobs_of = await tenant.add(*tenant.jobs([{**of, "sync_config_id": number(configs[0])}] * MANY))
    await tenant.add(*tenant.deliveries(configs[0], jobs_of[0], MANY))
    outcomes = [Outcome(job_id=number(job), path="p", row=0, kind="FAILED", at=START) for job in jobs_of[:2] * MANY]
    await tenant.add(*outcomes)
    await tenant.add(*tenant.dead_letters(projects[0], first[0], configs[0], MANY))
    return {"p": projects[0], "s": first[0], "c": configs[0], "j": jobs_of[0], "ids": objects}


def connections_of_the_schema() -> set[str]:
    from gql.schema import schema

    return {
        f"{kind.name}.{name}"
        for kind in schema._schema.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        and kind.name in {"Query", "Project", "Storage", "SyncConfig", "SyncJob", "SyncedObject", "Namespace"}
        for name, field in kind.fields.items()
        if "first" in field.args
    }


def test_every_connection_is_counted_here() -> None:
    assert connections_of_the_schema() == set(LISTS) - {"Query.nodes"}


@pytest.mark.parametrize("name", sorted(LISTS))
async def test_statements_do_not_grow_with_rows(tenant: Tenant, filled: dict[str, Any], name: str) -> None:
    query, database = LISTS[name], tenant.gateway.services.database
    counts: list[list[str]] = []
    for size in (FEW, MANY):
        variables = {
            "n": size,
            "p": filled["p"],
            "s": filled["s"],
            "c": filled["c"],
            "j": filled["j"],
            "ids": filled["ids"][:size],
        }
        with counted(database) as statements:
            data = await tenant.data(query, **{key: value for key, value in variables.items() if f"${key}:" in query})
        found: Any = next(iter(data.values()))
        found = found if name == "Query.nodes" else found if "nodes" in found else next(iter(found.values()))
        assert len(found if isinstance(found, list) else found["nodes"]) == size
        counts.append(statements)
    assert len(counts[0]) == len(counts[1]), "\n".join(statement[-300:] for statement in counts[1])
    assert 0 < len(counts[0]) <= 16


async def test_a_count_costs_only_those_who_ask_for_it(tenant: Tenant, filled: dict[str, Any]) -> None:
    database = tenant.gateway.services.database
    for field in ("projects", "storages", "jobs"):
        with counted(database) as without:
            await tenant.data(f"{{ {field} {{ nodes {{ id }} edges {{ cursor }} pageInfo {{ hasNextPage }} }} }}")
        with counted(database) as with_count:
            await tenant.data(f"{{ {field} {{ totalCount }} }}")
        assert (len(without), len(with_count)) == (1, 2)


async def test_the_same_thing_is_read_once_however_often_it_is_asked_for(
    tenant: Tenant, filled: dict[str, Any]
) -> None:
    with counted(tenant.gateway.services.database) as statements:
        await tenant.data(
            """query($p: ID!) {
              a: project(id: $p) { name } b: project(id: $p) { stats { objects } } c: node(id: $p) { id } }""",
            p=filled["p"],
        )
    assert len(statements) == 2


async def test_keys_are_read_once_for_all_ids(tenant: Tenant) -> None:
    ids = [encode_id("ApiKey", number) for number in range(1, 200)]
    with counted(tenant.gateway.services.database) as found:
        await tenant.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert len([statement for statement in found if "api_key_namespace" in statement]) == 1


async def test_more_ids_than_a_statement_takes_are_asked_for_in_parts(tenant: Tenant) -> None:
    names = [f"i{part}" for part in range(40)]
    query = (
        f"query({', '.join(f'${name}: [ID!]!' for name in names)}) "
        f"{{ {' '.join(f'{name}: nodes(ids: ${name}) {{ id }}' for name in names)} }}"
    )
    ids = {name: [encode_id("Job", 10**6 * (part + 1) + n) for n in range(1_000)] for part, name in enumerate(names)}
    assert all(not any(nodes) for nodes in (await tenant.data(query, **ids)).values())
