"""Keys and namespaces through the front door."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.access_queries import key_by_hash
from models.database import ALL
from resolvers import keys as keyring
from resolvers.operator_keys import all_keys, ensure_bootstrap_key, issue_key, withdraw_key
from sluicegate.core.actors import Scope, in_order, with_included
from sluicegate.core.clock import now
from sluicegate.core.crypto import hash_api_secret, new_api_secret
from sluicegate.core.errors import ConfigurationError, ConflictError, NotFoundError
from sluicegate.core.ids import encode_id
from sluicegate.settings import Settings
from tests.gql.sample import Served, served

CREATE = """mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  secret apiKey { id name prefix scopes expiresAt revokedAt lastUsedAt namespaces { id name } }
  errors { __typename code message path } } }"""
REVOKE = (
    "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id revokedAt } errors { __typename code path } } }"
)
NAMESPACE = (
    "mutation($n: String!) { createNamespace(input: {name: $n}) { namespace { id name } errors { code path } } }"
)
VIEWER = "{ viewer { actor { kind id name } namespace { name } namespaces { name } scopes } }"


@pytest.fixture
async def own(tmp_path: Path, database_url: str):
    """A server of the test's own, on each of the two databases."""
    async with served(tmp_path, database_url=database_url) as running:
        yield running


async def create(sample: Served, *, key: str = "", headers: Any = None, **given: Any) -> dict[str, Any]:
    given = {"name": "made by a test", "scopes": ["READ"]} | given
    return (await sample.data(CREATE, {"input": given}, key=key or sample.key, **(headers or {})))["createApiKey"]


async def status(sample: Served, authorization: str | bytes | None, **headers: str) -> int:
    given: Any = {"Authorization": authorization, **headers} if authorization is not None else headers
    return (await sample.http.post("/graphql", json={"query": "{ hello }"}, headers=given)).status_code


async def test_no_request_without_a_key(sample: Served):
    for authorization in (None, "", "Bearer", sample.key, f"Basic {sample.key}", "Bearer sg_", "Token nope"):
        response = await sample.http.post(
            "/graphql",
            json={"query": "{ __schema { types { name } } }"},
            headers={} if authorization is None else {"Authorization": authorization},
        )
        assert response.status_code == 401, authorization
        assert response.headers["www-authenticate"] == 'Bearer realm="sluicegate"'
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await status(sample, b"Bearer sg_\xe9\xff") == 401
    assert await status(sample, "Bearer sg_" + "x" * 4_000) == 401


async def test_both_schemes_in_any_case(sample: Served):
    for scheme in ("Bearer", "bearer", "Token", "TOKEN"):
        assert await status(sample, f"{scheme} {sample.key}") == 200


async def test_the_life_of_a_key(own: Served):
    made = await create(own, scopes=["WRITE"])
    secret, shown = made["secret"], made["apiKey"]
    assert made["errors"] == []
    assert shown["prefix"] == secret[:9]
    assert shown["scopes"] == ["READ", "WRITE"]
    assert [each["name"] for each in shown["namespaces"]] == ["default"]
    viewer = (await own.data(VIEWER, key=secret))["viewer"]
    assert viewer == {
        "actor": {"kind": "API_KEY", "id": shown["id"], "name": "made by a test"},
        "namespace": {"name": "default"},
        "namespaces": [{"name": "default"}],
        "scopes": ["READ", "WRITE"],
    }
    async with own.services.database.read(ALL) as session:
        row = await key_by_hash(session, hash_api_secret(secret))
    assert row is not None
    assert secret not in repr(vars(row))
    revoked = (await own.data(REVOKE, {"id": shown["id"]}))["revokeApiKey"]
    assert revoked["apiKey"]["revokedAt"]
    assert await status(own, f"Bearer {secret}") == 401
    again = (await own.data(REVOKE, {"id": shown["id"]}))["revokeApiKey"]
    assert again["apiKey"] == revoked["apiKey"]
    listed = (await own.data("{ apiKeys { id name prefix revokedAt } }"))["apiKeys"]
    assert [each["name"] for each in listed] == ["bootstrap", "made by a test"]


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({"name": " "}, "INVALID", ["name"]),
        ({"name": "x" * 257}, "INVALID", ["name"]),
        ({"name": "nul \x00"}, "INVALID", ["name"]),
        ({"name": "lone \ud800"}, "INVALID", ["name"]),
        ({"scopes": []}, "INVALID", ["scopes"]),
        ({"namespaceIds": []}, "INVALID", ["namespaceIds"]),
        ({"namespaceIds": ["nonsense"]}, "NOT_FOUND", ["namespaceIds"]),
        ({"namespaceIds": [encode_id("Namespace", 999)]}, "NOT_FOUND", ["namespaceIds"]),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "INVALID", ["expiresAt"]),
    ],
)
async def test_keys_that_cannot_be(sample: Served, given: dict[str, Any], code: str, path: list[str]):
    import json

    given = {"name": "x", "scopes": ["READ"]} | given
    body = json.dumps({"query": CREATE, "variables": {"input": given}})
    headers = sample.headers(**{"Content-Type": "application/json"})
    made = (await sample.http.post("/graphql", content=body, headers=headers)).json()["data"]["createApiKey"]
    assert made["apiKey"] is None
    assert [(error["code"], error["path"]) for error in made["errors"]] == [(code, path)]


async def test_scopes_bound_what_a_key_may_do(sample: Served):
    reader, writer = await sample.new_key(Scope.READ), await sample.new_key(Scope.WRITE)
    note, make = 'mutation { note(text: "x") { text } }', "{ apiKeys { id } }"
    allowed = {
        (name, what): "errors" not in (await sample.post(query, key=key)).json()
        for name, key in (("read", reader), ("write", writer), ("admin", sample.key))
        for what, query in (("hello", "{ hello }"), ("note", note), ("keys", make))
    }
    assert [pair for pair, may in allowed.items() if not may] == [
        ("read", "note"),
        ("read", "keys"),
        ("write", "keys"),
    ]
    refused = (await sample.post(note, key=reader)).json()["errors"][0]
    assert refused["extensions"]["code"] == "FORBIDDEN"


async def test_an_admin_key_passes_on_no_more_than_it_has(own: Served):
    end = now() + timedelta(hours=1)
    passing = (await issue_key(own.services.database, name="a", scopes=[Scope.ADMIN], expires_at=end)).secret
    inherited = await create(own, key=passing)
    assert datetime.fromisoformat(inherited["apiKey"]["expiresAt"]) == end
    longer = await create(own, key=passing, expiresAt="2999-01-01T00:00:00Z")
    assert [(each["code"], each["path"]) for each in longer["errors"]] == [("FORBIDDEN", ["expiresAt"])]
    assert (await create(own, expiresAt="2999-01-01T00:00:00Z"))["errors"] == []


async def test_several_namespaces_must_be_told_apart(own: Served):
    made = (await own.data(NAMESPACE, {"n": "second"}))["createNamespace"]["namespace"]
    second = {"X-Namespace": "second"}
    assert await status(own, f"Bearer {own.key}") == 400
    unnamed = (await own.post("{ hello }")).json()["errors"][0]
    assert (unnamed["extensions"]["code"], "data" in unnamed) == ("INVALID", False)
    for name in ("second", made["id"]):
        assert (await own.data(VIEWER, **{"X-Namespace": name}))["viewer"]["namespace"]["name"] == "second"
    for name in ("third", encode_id("Namespace", 99), encode_id("ApiKey", 1)):
        assert await status(own, f"Bearer {own.key}", **{"X-Namespace": name}) == 400
    taken = (await own.data(NAMESPACE, {"n": "second"}, **second))["createNamespace"]
    assert taken["errors"] == [{"code": "CONFLICT", "path": ["name"]}]
    for bad in ("", "a b", "é", "x" * 64, "-x"):
        refused = (await own.data(NAMESPACE, {"n": bad}, **second))["createNamespace"]
        assert refused["errors"] == [{"code": "INVALID", "path": ["name"]}]


async def test_one_tenants_admin_does_not_see_anothers_keys(own: Served):
    await own.data(NAMESPACE, {"n": "second"})
    tenant = (await create(own, scopes=["ADMIN"], headers={"X-Namespace": "second"}))["secret"]
    listed = (await own.data("{ apiKeys { name namespaces { name } } }", key=tenant))["apiKeys"]
    assert listed == [{"name": "made by a test", "namespaces": [{"name": "second"}]}]
    everything = (await own.data("{ apiKeys { id } }", **{"X-Namespace": "default"}))["apiKeys"]
    for key in (everything[0]["id"], encode_id("ApiKey", 999)):
        answer = (await own.data(REVOKE, {"id": key}, key=tenant))["revokeApiKey"]
        assert answer == {
            "apiKey": None,
            "errors": [{"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["id"]}],
        }
    default = everything_of(await own.data("{ viewer { namespaces { id name } } }", **{"X-Namespace": "default"}))
    refused = await create(own, key=tenant, namespaceIds=[default])
    assert refused["errors"][0]["code"] == "NOT_FOUND"


def everything_of(data: dict[str, Any]) -> str:
    return next(each["id"] for each in data["viewer"]["namespaces"] if each["name"] == "default")


async def test_an_expired_key_opens_nothing(own: Served):
    end = now() + timedelta(seconds=0.4)
    key = (await issue_key(own.services.database, name="short", scopes=[Scope.READ], expires_at=end)).secret
    assert await status(own, f"Bearer {key}") == 200
    await asyncio.sleep(0.5)  # what passes here is the key's life
    assert await status(own, f"Bearer {key}") == 401


async def test_a_key_withdrawn_elsewhere_is_believed_for_two_seconds_at_most(
    own: Served, monkeypatch: pytest.MonkeyPatch
):
    issued = await issue_key(own.services.database, name="x", scopes=[Scope.READ])
    assert await status(own, f"Bearer {issued.secret}") == 200
    await withdraw_key(own.services.database, issued.key.id)
    assert await status(own, f"Bearer {issued.secret}") == 200
    assert keyring.FRESH_SECONDS <= 2
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 0.0)
    assert await status(own, f"Bearer {issued.secret}") == 401


async def test_the_last_use_is_noted_once_a_minute(own: Served, monkeypatch: pytest.MonkeyPatch):
    async def last_used() -> datetime | None:
        await own.services.keys.close()  # waits for the note
        async with own.services.database.read(ALL) as session:
            row = await key_by_hash(session, hash_api_secret(own.key))
        assert row is not None
        return row.last_used_at

    await own.data("{ hello }")
    first = await last_used()
    assert first is not None
    assert now() - first < timedelta(seconds=10)
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 0.0)
    await own.data("{ hello }")
    assert await last_used() == first
    monkeypatch.setattr(keyring, "USE_NOTED_EVERY", timedelta(0))
    await own.data("{ hello }")
    later = await last_used()
    assert later is not None
    assert later > first


async def test_what_another_process_noted_is_not_written_again(own: Served):
    rings = [keyring.KeyRing(), keyring.KeyRing()]
    stamps: list[datetime | None] = []
    found = [await ring.find(own.services.database, hash_api_secret(own.key)) for ring in rings]
    for ring, key in zip(rings, found, strict=True):
        assert key is not None
        ring.note_use(own.services.database, key)
        await ring.close()
        async with own.services.database.read(ALL) as session:
            row = await key_by_hash(session, key.secret_hash)
        assert row is not None
        stamps.append(row.last_used_at)
    assert stamps[0] is not None
    assert stamps[0] == stamps[1]


async def test_requests_at_once_ask_the_database_once(own: Served, monkeypatch: pytest.MonkeyPatch):
    asked = 0

    async def counting(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await key_by_hash(*arguments)

    monkeypatch.setattr(keyring, "key_by_hash", counting)
    answers = await asyncio.gather(*(status(own, f"Bearer {own.key}") for _ in range(20)))
    assert answers == [200] * 20
    assert asked == 1


# ---------------------------------------------------------------- the operator's side


def settings(directory: Path, bootstrap_key: str | None = None) -> Settings:
    return Settings.model_validate({"data_dir": directory, "bootstrap_key": bootstrap_key})


async def test_a_new_installation_gets_one_key_and_no_second(own: Served, tmp_path: Path):
    database = own.services.database
    assert await ensure_bootstrap_key(database, settings(tmp_path)) is None  # the sample's own key exists
    given = settings(tmp_path, new_api_secret())
    assert await ensure_bootstrap_key(database, given) is None
    assert await ensure_bootstrap_key(database, given) is None
    assert len(await all_keys(database)) == 2


async def test_a_made_up_key_opens_the_gateway(tmp_path: Path, database_url: str):
    from models import migrate
    from models.database import Database

    database = Database(database_url)
    try:
        await migrate.upgrade(database)
        made = await asyncio.gather(*(ensure_bootstrap_key(database, settings(tmp_path)) for _ in range(3)))
        assert sum(secret is not None for secret in made) == 1
        [key] = await all_keys(database)
        assert (key.scopes, key.namespaces[0].name) == (["READ", "WRITE", "ADMIN"], "default")
    finally:
        await database.close()


@pytest.mark.parametrize("weak", ["secret", "sg_short", "xx_" + "y" * 40])
async def test_a_weak_bootstrap_key_is_refused(sample: Served, tmp_path: Path, weak: str):
    with pytest.raises(ConfigurationError) as refused:
        await ensure_bootstrap_key(sample.services.database, settings(tmp_path, weak))
    assert weak not in str(refused.value)


async def test_the_operator_names_keys_by_id_or_prefix(own: Served):
    database = own.services.database
    issued = await issue_key(database, name="x", scopes=[Scope.READ], namespaces=["team"], create_namespaces=True)
    assert (await withdraw_key(database, issued.key.prefix)).revoked_at is not None
    with pytest.raises(NotFoundError):
        await withdraw_key(database, "sg_nobody")
    with pytest.raises(NotFoundError):
        await issue_key(database, name="x", scopes=[Scope.READ], namespaces=["elsewhere"])
    async with database.write(ALL) as session:
        for each in await all_keys(database):
            each.prefix = "sg_same.."
            await session.merge(each)
    with pytest.raises(ConflictError):
        await withdraw_key(database, "sg_same..")


def test_scopes_include_those_before():
    assert in_order(with_included(["ADMIN"])) == [Scope.READ, Scope.WRITE, Scope.ADMIN]
    assert in_order(with_included(["WRITE"])) == [Scope.READ, Scope.WRITE]
    assert with_included([]) == frozenset()


async def test_times_are_utc_and_need_an_offset(sample: Served):
    made = await create(sample, expiresAt="2999-01-01T02:00:00.5+02:00")
    assert made["apiKey"]["expiresAt"] == "2999-01-01T00:00:00.500000Z"
    assert datetime.fromisoformat(made["apiKey"]["expiresAt"]) == datetime(2999, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    for bad in ("2999-01-01", "2999-01-01T00:00:00", "2999-13-01T00:00:00Z", 7, "0001-01-01T00:00:00+14:00"):
        answer = (await sample.post(CREATE, {"input": {"name": "x", "scopes": ["READ"], "expiresAt": bad}})).json()
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT", bad
