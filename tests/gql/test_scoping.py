"""Tenants do not see one another: another's id answers exactly as one that does not exist, in the whole schema."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from gql.permissions import Scope, root_scopes
from gql.schema import schema
from sluicegate.core.ids import encode_id
from tests.gql.sync_configs import made
from tests.gql.tenants import START, Tenant, number

CORE = schema._schema
ABSENT = 2**40

EVERY_KIND = [
    "Project", "Storage", "SyncConfig", "Job", "SyncedObject", "DeadLetter", "Batch", "Namespace", "ApiKey",
]  # fmt: skip
# Every input of type ID, and whose ids it takes. A new one must be added here, and is then tested with the others.
IDS = {
    "Query.node.id": EVERY_KIND,
    "Query.nodes.ids": EVERY_KIND,
    "Query.project.id": ["Project"],
    "Query.storage.id": ["Storage"],
    "Query.storages.projectId": ["Project"],
    "Query.syncConfig.id": ["SyncConfig"],
    "Query.syncConfigs.projectId": ["Project"],
    "Query.syncConfigs.filter.storageId": ["Storage"],
    "Query.job.id": ["Job"],
    "Query.syncedObject.id": ["SyncedObject"],
    "Query.deadLetters.filter.syncConfigId": ["SyncConfig"],
    "Query.deadLetters.filter.storageId": ["Storage"],
    "Query.deadLetters.filter.projectId": ["Project"],
    "Query.jobs.filter.id": ["Job"],
    "Query.jobs.filter.storageId": ["Storage"],
    "Query.jobs.filter.projectId": ["Project"],
    "Query.jobs.filter.syncConfigId": ["SyncConfig"],
    "Mutation.updateProject.input.id": ["Project"],
    "Mutation.deleteProject.input.id": ["Project"],
    "Mutation.createStorage.input.projectId": ["Project"],
    "Mutation.updateStorage.input.id": ["Storage"],
    "Mutation.updateStorage.input.projectId": ["Project"],
    "Mutation.deleteStorage.input.id": ["Storage"],
    "Mutation.validateStorage.input.id": ["Storage"],
    "Mutation.previewStorage.input.id": ["Storage"],
    "Mutation.previewStorage.input.syncConfigId": ["SyncConfig"],
    "Mutation.createSyncConfig.input.projectId": ["Project"],
    "Mutation.createSyncConfig.input.storageId": ["Storage"],
    "Mutation.updateSyncConfig.input.id": ["SyncConfig"],
    "Mutation.deleteSyncConfig.input.id": ["SyncConfig"],
    "Mutation.activateSyncConfig.input.id": ["SyncConfig"],
    "Mutation.pauseSyncConfig.input.id": ["SyncConfig"],
    "Mutation.resumeSyncConfig.input.id": ["SyncConfig"],
    "Mutation.archiveSyncConfig.input.id": ["SyncConfig"],
    "Mutation.unlockSyncConfig.input.id": ["SyncConfig"],
    "Mutation.triggerSync.input.id": ["SyncConfig"],
    "Mutation.confirmSync.input.jobId": ["Job"],
    "Mutation.syncStorage.input.id": ["Storage"],
    "Mutation.signalJob.input.id": ["Job"],
    "Mutation.retryDeadLetters.input.ids": ["DeadLetter"],
    "Mutation.retryDeadLetters.input.filter.syncConfigId": ["SyncConfig"],
    "Mutation.retryDeadLetters.input.filter.storageId": ["Storage"],
    "Mutation.retryDeadLetters.input.filter.projectId": ["Project"],
    "Mutation.discardDeadLetters.input.ids": ["DeadLetter"],
    "Mutation.discardDeadLetters.input.filter.syncConfigId": ["SyncConfig"],
    "Mutation.discardDeadLetters.input.filter.storageId": ["Storage"],
    "Mutation.discardDeadLetters.input.filter.projectId": ["Project"],
    "Mutation.createApiKey.input.namespaceIds": ["Namespace"],
    "Mutation.revokeApiKey.input.id": ["ApiKey"],
    "Subscription.job.id": ["Job"],
    "Subscription.storage.id": ["Storage"],
    "Subscription.syncConfig.id": ["SyncConfig"],
    "Subscription.deadLetters.filter.syncConfigId": ["SyncConfig"],
    "Subscription.deadLetters.filter.storageId": ["Storage"],
    "Subscription.deadLetters.filter.projectId": ["Project"],
}
# What else an input needs to get as far as its ids.
GIVEN: dict[str, Any] = {
    "Mutation.createStorage.input.provider": {"local": {"path": ""}},
    "Mutation.signalJob.input.signal": "CANCEL",
    "Mutation.createApiKey.input.scopes": ["READ"],
    "Mutation.updateStorage.input.title": "taken over",
    "Mutation.updateProject.input.name": "taken over",
    "Mutation.updateSyncConfig.input.name": "taken over",
    "Mutation.createSyncConfig.input.sourcePath": "",
}


def roots() -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    for root in (CORE.query_type, CORE.mutation_type, CORE.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            yield root, name, field


def id_inputs(kind: GraphQLInputType, path: str) -> Iterator[str]:
    named = get_named_type(kind)
    if isinstance(named, GraphQLScalarType) and named.name == "ID":
        yield path
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from id_inputs(field.type, f"{path}.{name}")


def test_every_input_of_ids_is_known_here() -> None:
    found = {
        path
        for root, name, field in roots()
        for argument, definition in field.args.items()
        for path in id_inputs(definition.type, f"{root.name}.{name}.{argument}")
    }
    assert found == set(IDS)


def test_every_root_field_asks_for_a_scope() -> None:
    from gql.mutations.root import Mutation
    from gql.queries import Query
    from gql.subscriptions import Subscription

    scopes = dict(root_scopes(Query, Mutation, Subscription))
    assert None not in scopes.values()
    admin = {name for name, scope in scopes.items() if scope is Scope.ADMIN}
    assert admin == {
        "Query.api_keys",
        "Mutation.create_api_key",
        "Mutation.create_namespace",
        "Mutation.revoke_api_key",
    }
    assert all(
        scope is Scope.WRITE for name, scope in scopes.items() if name.startswith("Mutation") and name not in admin
    )


@pytest.fixture
async def others(other_tenant: Tenant) -> dict[str, str]:
    """Something of every kind that belongs to another tenant."""
    project = await other_tenant.project("theirs")
    (other_tenant.folder / "theirs.txt").write_text("theirs")
    storage = await other_tenant.storage(project, title="theirs")
    config = (await made(other_tenant, storage, projectId=project, name="theirs", draft=True))["id"]
    (scheduled,) = await other_tenant.add(
        *other_tenant.jobs(
            [{"storage_id": number(storage), "project_id": number(project), "status": "SCHEDULED",
              "sync_config_id": number(config),
              "scheduled_at": START + timedelta(days=36_500), "unicity": f"sync:storage:{number(storage)}"}]
        )
    )  # fmt: skip
    (found,) = await other_tenant.add(*other_tenant.objects(project, storage, ["theirs.txt"]))
    (letter,) = await other_tenant.add(*other_tenant.dead_letters(project, storage, config, 1))
    await other_tenant.add(*other_tenant.deliveries(config, scheduled, 1))
    batches = await other_tenant.data("query($id: ID!) { syncConfig(id: $id) { batches { nodes { id } } } }", id=config)
    batch = batches["syncConfig"]["batches"]["nodes"][0]["id"]
    keys = await other_tenant.data("{ apiKeys { id name } viewer { namespace { id } } }")
    key = next(key["id"] for key in keys["apiKeys"] if key["name"] == "test")
    return {
        "Project": project, "Storage": storage, "SyncConfig": config, "Job": scheduled, "SyncedObject": found,
        "ApiKey": key, "Namespace": keys["viewer"]["namespace"]["id"], "DeadLetter": letter, "Batch": batch,
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(IDS))
async def test_another_tenants_id_answers_as_one_that_does_not_exist(
    tenant: Tenant, other_tenant: Tenant, others: Mapping[str, str], path: str
) -> None:
    mine = {"Project": await tenant.project("mine")}
    mine["Storage"] = await tenant.storage(mine["Project"])
    before = await state_of(other_tenant, others)
    for kind in IDS[path]:
        theirs, absent = others[kind], encode_id(kind, ABSENT)
        with_theirs = await ask(tenant, path, theirs, mine)
        with_absent = await ask(tenant, path, absent, mine)
        assert normal(with_theirs, theirs) == normal(with_absent, absent)
        assert "theirs" not in json.dumps(with_theirs)
    assert await state_of(other_tenant, others) == before


@pytest.mark.parametrize("path", sorted(path for path in IDS if not path.startswith("Mutation")))
async def test_the_owner_gets_another_answer(other_tenant: Tenant, others: Mapping[str, str], path: str) -> None:
    """The test above would pass on a field that answers nothing to anybody."""
    for kind in IDS[path]:
        own, absent = others[kind], encode_id(kind, ABSENT)
        found = await ask(other_tenant, path, own, dict(others))
        assert normal(found, own) != normal(await ask(other_tenant, path, absent, dict(others)), absent)


async def test_lists_hold_nothing_of_another_tenant(tenant: Tenant, others: Mapping[str, str]) -> None:
    found = await tenant.data(
        "{ projects { totalCount nodes { id } } storages { totalCount nodes { id } } jobs { totalCount nodes { id } } "
        "syncConfigs { totalCount nodes { id } } deadLetters { totalCount nodes { id } } }"
    )
    lists = ("projects", "storages", "jobs", "syncConfigs", "deadLetters")
    assert found == {name: {"totalCount": 0, "nodes": []} for name in lists}
    assert others["ApiKey"] not in json.dumps(await tenant.data("{ apiKeys { id } }"))


async def state_of(owner: Tenant, ids: Mapping[str, str]) -> dict[str, Any]:
    return await owner.data(
        """query($project: ID!, $storage: ID!, $config: ID!, $job: ID!) {
          syncConfig(id: $config) { name status revision deadLetters { nodes { status } } }
          project(id: $project) { name updatedAt stats { objects } storages { totalCount } }
          storage(id: $storage) { title deletedAt revision project { id } jobs { totalCount } }
          job(id: $job) { status revision } apiKeys { id revokedAt } }""",
        project=ids["Project"],
        storage=ids["Storage"],
        config=ids["SyncConfig"],
        job=ids["Job"],
    )


async def ask(tenant: Tenant, path: str, global_id: str, mine: Mapping[str, str]) -> Any:
    """The whole answer of the field at `path` when its input there is `global_id`."""
    root, name, *_ = path.split(".")
    kind = {"Query": CORE.query_type, "Mutation": CORE.mutation_type, "Subscription": CORE.subscription_type}[root]
    assert kind is not None
    field = kind.fields[name]
    variables: dict[str, Any] = {}
    for argument, definition in field.args.items():
        place = f"{root}.{name}.{argument}"
        value = fill(definition.type, place, path, global_id, mine)
        if value is not None or is_required_argument(definition):
            variables[argument] = value
    declared = ", ".join(f"${argument}: {field.args[argument].type}" for argument in variables)
    passed = ", ".join(f"{argument}: ${argument}" for argument in variables)
    query = f"{root.lower()}({declared}) {{ {name}({passed}) {selection(field.type, 2)} }}"
    if root != "Subscription":
        return await tenant.graphql(query, **variables)
    try:
        async for payload in tenant.subscribe(query, **variables):
            return payload
    except AssertionError as refused:
        return str(refused)
    return None


def fill(kind: GraphQLInputType, place: str, path: str, global_id: str, mine: Mapping[str, str]) -> Any:
    """A value for the input at `place`: the id at `path`, what `GIVEN` has, else only what is required."""
    if place == path:
        return [global_id] if is_list_type(get_nullable_type(kind)) else global_id
    if place in GIVEN:
        return GIVEN[place]
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        if not isinstance(kind, GraphQLNonNull) and not path.startswith(f"{place}."):
            return None
        values = {
            name: fill(field.type, f"{place}.{name}", path, global_id, mine) for name, field in named.fields.items()
        }
        return {
            name: value
            for name, value in values.items()
            if value is not None or is_required_input_field(named.fields[name])
        }
    if not isinstance(kind, GraphQLNonNull):
        return None
    if place in IDS:
        return mine[IDS[place][0]]
    return {"String": "given", "Int": 1, "Boolean": False}.get(named.name)


def selection(kind: Any, depth: int) -> str:
    """All that can be selected without arguments, to a depth."""
    named = get_named_type(kind)
    if isinstance(named, (GraphQLScalarType, GraphQLEnumType)):
        return ""
    fields = [
        f"{name} {selection(field.type, depth - 1)}"
        for name, field in named.fields.items()
        if (depth > 0 or not hasattr(get_named_type(field.type), "fields"))
        and not any(map(is_required_argument, field.args.values()))
        and name not in {"milliseconds", "lastUsedAt"}
    ]
    return "{ __typename " + " ".join(fields) + " }"


def normal(answer: Any, global_id: str) -> str:
    """An answer without the id that was asked for, without cursors, times and the id of the request."""
    if isinstance(answer, dict):
        for error in answer.get("errors") or []:
            error.get("extensions", {}).pop("requestId", None)
        answer = json.dumps(answer, sort_keys=True)
    return (str(answer)).replace(global_id, "ID")


async def test_a_key_that_only_reads_changes_nothing(tenant: Tenant, other_tenant: Tenant) -> None:
    mine = {"Project": await tenant.project(), "Namespace": encode_id("Namespace", tenant.number)}
    mine["Storage"] = await tenant.storage(mine["Project"])
    keys = await tenant.data(
        """mutation { createApiKey(input: {name: "reader", scopes: [READ]}) { secret apiKey { id } } }"""
    )
    mine["ApiKey"] = keys["createApiKey"]["apiKey"]["id"]
    (mine["Job"],) = await tenant.add(*tenant.jobs([{}]))
    mine["SyncConfig"] = (await made(tenant, mine["Storage"], projectId=mine["Project"], draft=True))["id"]
    (mine["DeadLetter"],) = await tenant.add(
        *tenant.dead_letters(mine["Project"], mine["Storage"], mine["SyncConfig"], 1)
    )
    reader = replace(tenant, key=keys["createApiKey"]["secret"])
    before = await state_of(tenant, mine)
    mutations = CORE.mutation_type
    assert mutations is not None
    for name, field in mutations.fields.items():
        inside = next(
            iter(id_inputs(field.args["input"].type, f"Mutation.{name}.input")), f"Mutation.{name}.input.none"
        )
        answer = await ask(reader, inside, mine[IDS[inside][0]] if inside in IDS else "", mine)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"], name
    assert await state_of(tenant, mine) == before
    assert (await reader.graphql("{ apiKeys { id } }"))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    found = await reader.data("query($id: ID!) { node(id: $id) { id } viewer { scopes } }", id=mine["ApiKey"])
    assert found == {"node": None, "viewer": {"scopes": ["READ"]}}
