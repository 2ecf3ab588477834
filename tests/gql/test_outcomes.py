"""What a run did with single records: as a list, and as a file."""

import gzip
import json
from typing import Any

from models.jobs import Job
from resolvers import outcomes as downloads
from sluicegate.core.ids import encode_id
from tests.gql.tenants import Tenant, number

OUTCOMES = """query($id: ID!, $first: Int, $after: String, $kinds: [OutcomeKind!]) { job(id: $id) { ... on SyncJob {
  outcomesUrl outcomes(first: $first, after: $after, kinds: $kinds) {
    totalCount pageInfo { hasNextPage endCursor } nodes { kind path row message at } } } } }"""


async def outcomes(tenant: Tenant, job: str, **more: Any) -> dict[str, Any]:
    return (await tenant.data(OUTCOMES, id=job, **more))["job"]["outcomes"]


async def two_runs(tenant: Tenant) -> tuple[str, str]:
    """A first sync of five files, and one that finds one changed, one new and one gone."""
    for number_ in range(5):
        (tenant.folder / f"{number_}.txt").write_text("x")
    storage = await tenant.storage()
    first = await tenant.sync(storage)
    (tenant.folder / "0.txt").write_text("changed")
    (tenant.folder / "9.txt").write_text("new")
    (tenant.folder / "1.txt").unlink()
    return first, await tenant.sync(storage)


async def test_pages_go_over_both_kinds_of_outcomes(tenant: Tenant) -> None:
    first, second = await two_runs(tenant)
    seen: list[str] = []
    after = None
    while True:
        page = await outcomes(tenant, first, first=2, after=after)
        assert page["totalCount"] == 5
        seen += [node["path"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"{number_}.txt" for number_ in range(5)]
    found = await outcomes(tenant, second)
    assert found["totalCount"] == 3
    assert sorted((node["kind"], node["path"], node["message"]) for node in found["nodes"]) == [
        ("ADDED", "9.txt", None), ("MISSING", "1.txt", None), ("UPDATED", "0.txt", None),
    ]  # fmt: skip


async def test_kinds_are_chosen(tenant: Tenant) -> None:
    first, second = await two_runs(tenant)
    assert (await outcomes(tenant, first, kinds=["FAILED", "MISSING"]))["nodes"] == []
    assert len((await outcomes(tenant, first, kinds=["ADDED"]))["nodes"]) == 5
    found = await outcomes(tenant, second, kinds=["MISSING", "ADDED"])
    assert (found["totalCount"], sorted(node["path"] for node in found["nodes"])) == (2, ["1.txt", "9.txt"])
    assert len((await outcomes(tenant, second, kinds=[]))["nodes"]) == 3


async def test_cursors_that_are_none_are_refused(tenant: Tenant) -> None:
    first, second = await two_runs(tenant)
    cursor = (await outcomes(tenant, first, first=1))["pageInfo"]["endCursor"]
    for job, bad in ((second, cursor), (first, "x"), (first, cursor[:-6])):
        answer = await tenant.graphql(OUTCOMES, id=job, after=bad)
        assert answer["errors"][0]["extensions"]["code"] == "INVALID"


async def test_the_link_gives_every_outcome_as_a_line(tenant: Tenant, monkeypatch: Any) -> None:
    monkeypatch.setattr(downloads, "PAGE", 2)
    first, second = await two_runs(tenant)
    url = (await tenant.data(OUTCOMES, id=first))["job"]["outcomesUrl"]
    response = await tenant.gateway.http.get(url)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["content-disposition"].startswith('attachment; filename="outcomes-')
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["path"] for line in lines] == [f"{number_}.txt" for number_ in range(5)]
    page = (await outcomes(tenant, first))["nodes"]
    assert [line | {"at": ""} for line in lines] == [node | {"at": ""} for node in page]
    assert all(line["at"].endswith("Z") for line in lines)

    url = (await tenant.data(OUTCOMES, id=second))["job"]["outcomesUrl"]
    async with tenant.gateway.http.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        body = b"".join([piece async for piece in packed.aiter_raw()])
    assert len(gzip.decompress(body).splitlines()) == 3
    plain = await tenant.gateway.http.get(url, headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in plain.headers
    head = await tenant.gateway.http.head(url)
    assert (head.status_code, head.content) == (200, b"")


async def test_a_key_opens_its_own_jobs_alone(tenant: Tenant, other_tenant: Tenant) -> None:
    first, second = await two_runs(tenant)
    path = f"/jobs/{first}/outcomes"
    http = tenant.gateway.http
    assert len((await http.get(path, headers=tenant.gateway.headers(tenant.key))).text.splitlines()) == 5
    theirs = await http.get(path, headers=tenant.gateway.headers(other_tenant.key) | {"X-Request-ID": "same-request"})
    absent = await http.get(
        f"/jobs/{encode_id('Job', 2**40)}/outcomes",
        headers=tenant.gateway.headers(other_tenant.key) | {"X-Request-ID": "same-request"},
    )
    assert (theirs.status_code, theirs.text) == (absent.status_code, absent.text)
    assert theirs.status_code == 404
    assert (await http.get(path)).status_code == 401
    assert (await http.get("/jobs/x/outcomes", headers=tenant.gateway.headers(tenant.key))).status_code == 404
    # A link is for its job alone, and none of an object's.
    url = (await tenant.data(OUTCOMES, id=first))["job"]["outcomesUrl"]
    link = url.split("?link=")[1]
    assert (await http.get(f"/jobs/{second}/outcomes?link={link}")).status_code == 403
    objects = await tenant.data("{ projects { nodes { objects(first: 1) { nodes { id url } } } } }")
    (found,) = objects["projects"]["nodes"][0]["objects"]["nodes"]
    assert (await http.get(f"/objects/{found['id']}/content?link={link}")).status_code == 403
    assert (await http.get(f"/jobs/{first}/outcomes?link={found['url'].split('?link=')[1]}")).status_code == 403


async def test_a_link_dies_with_its_key_and_with_its_time(tenant: Tenant, monkeypatch: Any) -> None:
    first, _ = await two_runs(tenant)
    made = await tenant.data(
        'mutation { createApiKey(input: {name: "short", scopes: [READ]}) { secret apiKey { id } } }'
    )
    own = await tenant.gateway.data(OUTCOMES, {"id": first}, key=made["createApiKey"]["secret"])
    url = own["job"]["outcomesUrl"]
    http = tenant.gateway.http
    assert (await http.get(url)).status_code == 200
    await tenant.data(
        "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { errors { message } } }",
        id=made["createApiKey"]["apiKey"]["id"],
    )
    assert (await http.get(url)).status_code == 403
    monkeypatch.setattr(downloads, "LINK_SECONDS", -1)
    old = (await tenant.data(OUTCOMES, id=first))["job"]["outcomesUrl"]
    assert (await http.get(old)).status_code == 403


async def test_a_download_under_way_ends_with_its_key(tenant: Tenant, monkeypatch: Any) -> None:
    monkeypatch.setattr(downloads, "PAGE", 1)
    monkeypatch.setattr(downloads, "CHECK_SECONDS", 0.0)
    first, _ = await two_runs(tenant)
    made = await tenant.data(
        'mutation { createApiKey(input: {name: "short", scopes: [READ]}) { secret apiKey { id } } }'
    )
    services = tenant.gateway.services
    key = number(made["createApiKey"]["apiKey"]["id"])
    grant = downloads.Grant(tenant.number, number(first), key)
    lines = downloads.lines(services, grant)
    assert b"0.txt" in await anext(lines)
    await tenant.data(
        "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { errors { message } } }",
        id=made["createApiKey"]["apiKey"]["id"],
    )
    try:
        await anext(lines)
    except downloads.UnauthenticatedError:
        return
    raise AssertionError("The download went on.")


async def test_outcomes_go_with_their_job(tenant: Tenant) -> None:
    _, second = await two_runs(tenant)
    database = tenant.gateway.services.database
    async with database.write(tenant.number) as session:
        await session.delete(await session.get_one(Job, number(second)))
    response = await tenant.gateway.http.get(f"/jobs/{second}/outcomes", headers=tenant.gateway.headers(tenant.key))
    assert response.status_code == 404
