"""/graphql over HTTP: methods, media types, bodies, errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gql.transports import negotiation
from tests.gql.sample import SECRET, Probe, Served, served

GRAPHQL = "application/graphql-response+json"


async def test_a_query_is_answered_as_json(sample: Served):
    response = await sample.post("query($n: String!) { hello(name: $n) }", {"n": "Ada"})
    assert (response.status_code, response.json()) == (200, {"data": {"hello": "hello Ada"}})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_the_newer_media_type_is_sent_to_those_who_prefer_it(sample: Served):
    response = await sample.post("{ hello }", Accept=f"application/json;q=0.8, {GRAPHQL}")
    assert response.headers["content-type"].startswith(GRAPHQL)


@pytest.mark.parametrize("accept", ["image/png", "application/xml;q=0.9", "application/json;q=0"])
async def test_what_cannot_be_sent_is_refused(sample: Served, accept: str):
    assert (await sample.post("{ hello }", Accept=accept)).status_code == 406


async def test_headers_that_anybody_can_send_fill_no_memory(sample: Served):
    kept = (negotiation._accepted, negotiation._is_json)
    before = [cache.cache_info().currsize for cache in kept]
    for number in range(5):
        long = "a" * 2_000 + str(number)
        assert (await sample.http.get("/graphql", headers={"Accept": long})).status_code == 406
        assert (await sample.post("{ hello }", **{"Content-Type": f"application/json; {long}"})).status_code == 415
    assert [cache.cache_info().currsize for cache in kept] == before


async def test_get_queries_and_never_changes(sample: Served):
    parameters = {"query": "query($n: String!) { hello(name: $n) }", "variables": '{"n": "Ada"}'}
    response = await sample.http.get("/graphql", params=parameters, headers=sample.headers())
    assert response.json() == {"data": {"hello": "hello Ada"}}
    change = await sample.http.get(
        "/graphql", params={"query": 'mutation { note(text: "x") { text } }'}, headers=sample.headers()
    )
    assert (change.status_code, change.headers["allow"]) == (405, "POST")


async def test_other_methods_are_refused(sample: Served):
    response = await sample.http.put("/graphql", json={"query": "{ hello }"}, headers=sample.headers())
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "",
    ],
)
async def test_a_body_that_a_form_can_post_is_refused_even_with_a_key(sample: Served, content_type: str):
    response = await sample.http.post(
        "/graphql", content=b'{"query": "{ hello }"}', headers=sample.headers(**{"Content-Type": content_type})
    )
    assert response.status_code == 415


async def test_a_browser_gets_graphiql_without_a_key(sample: Served):
    accept = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    response = await sample.http.get("/graphql", headers=accept)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_a_browser_cannot_post_by_itself(sample: Served):
    response = await sample.http.post(
        "/graphql", json={"query": "{ hello }"}, headers=sample.headers(Accept="text/html")
    )
    assert response.status_code == 406


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"query": "{ hello }", "variables": {"a": NaN}}', 400),
        (b"[" * 100_000, 400),
        (b'[{"query": "{ hello }"}]', 400),
        (b'{"query": ""}', 400),
        (b'{"query": {"a": 1}}', 400),
        (b'{"query": "{ hello }", "variables": []}', 400),
        (b'{"query": "{ hello }", "operationName": 1}', 400),
        (b'{"query": "{ hello }", "extensions": "x"}', 400),
        (b'{"query": "{ hello }", "operationName": "other"}', 400),
    ],
)
async def test_a_body_that_is_no_operation_is_refused(sample: Served, body: bytes, status: int):
    response = await sample.http.post(
        "/graphql", content=body, headers=sample.headers(**{"Content-Type": "application/json"})
    )
    answer = response.json()
    assert response.status_code == status, answer
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["requestId"]


async def test_a_body_beyond_the_limit_is_refused_declared_or_chunked(sample: Served):
    limit = sample.services.settings.max_body_bytes
    body = json.dumps({"query": "{ hello }", "variables": {"x": "y" * limit}}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    headers = sample.headers(**{"Content-Type": "application/json"})
    declared = await sample.http.post("/graphql", content=body, headers=headers)
    chunked = await sample.http.post("/graphql", content=chunks(), headers=headers)
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert declared.json()["errors"][0]["extensions"]["code"] == "LIMIT"


async def test_a_body_that_stops_arriving_is_given_up(directory: Path):
    async with served(directory, request_timeout_seconds=0.2) as sample:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(sample.url).port)
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
            + f"Authorization: Bearer {sample.key}\r\n\r\n".encode()
            + b'{"query"'
        )
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    assert b" 408 " in status


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: String!) { hello(name: $n) }", {"n": None}, "BAD_USER_INPUT"),
        ("query($n: String!) { hello(name: $n) }", {"n": 7}, "BAD_USER_INPUT"),
    ],
)
async def test_what_is_never_executed_has_no_data(sample: Served, query: str, variables: Any, code: str):
    newer = await sample.post(query, variables, Accept=GRAPHQL)
    older = await sample.post(query, variables, Accept="application/json")
    assert (newer.status_code, older.status_code) == (400, 200)
    for response in (newer, older):
        assert "data" not in response.json()
        assert response.json()["errors"][0]["extensions"]["code"] == code


async def test_what_is_not_meant_for_callers_is_masked_and_logged(sample: Served, caplog: pytest.LogCaptureFixture):
    response = await sample.http.post(
        "/graphql", json={"query": "{ bug hello }"}, headers=sample.headers(**{"X-Request-Id": "asked-by-a-test"})
    )
    answer = response.json()
    assert response.status_code == 200
    assert answer["data"] == {"bug": None, "hello": "hello world"}
    assert answer["errors"] == [
        {
            "message": "Internal error",
            "path": ["bug"],
            "locations": [{"line": 1, "column": 3}],
            "extensions": {"code": "INTERNAL", "requestId": "asked-by-a-test"},
        }
    ]
    assert SECRET not in response.text
    [record] = [each for each in caplog.records if each.name == "gql.errors"]
    assert record.__dict__["request_id"] == "asked-by-a-test"
    assert SECRET in str(record.exc_info)


async def test_our_own_errors_are_shown_with_code_and_hint(sample: Served):
    answer = (await sample.post("{ refuse }")).json()
    error = answer["errors"][0]
    assert error["message"] == "No such thing."
    assert error["extensions"].items() >= {"code": "NOT_FOUND", "hint": "Look elsewhere."}.items()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("missing", {"__typename": "NotFoundError", "code": "NOT_FOUND", "message": "No such note.", "path": ["text"]}),
        (
            "busy",
            {"__typename": "ConflictError", "code": "CONFLICT", "message": "In use. Try later.", "path": ["text"]},
        ),
        (
            "down",
            {
                "__typename": "InputError",
                "code": "PROVIDER_UNAVAILABLE",
                "message": "The provider is away.",
                "path": [],
            },
        ),
    ],
)
async def test_a_mutation_tells_errors_in_its_payload(sample: Served, text: str, error: dict[str, Any]):
    query = "mutation($t: String!) { note(text: $t) { text errors { __typename code message path } } }"
    assert await sample.data(query, {"t": text}) == {"note": {"text": None, "errors": [error]}}


async def test_a_bug_in_a_mutation_is_masked_too(sample: Served):
    response = await sample.post('mutation { note(text: "bug") { text } }')
    assert response.json()["errors"][0]["message"] == "Internal error"
    assert SECRET not in response.text


async def test_json_comes_back_as_it_went_in(sample: Served):
    value = {"big": 2**80, "small": -(2**70), "text": "é🏊", "lone": "\ud800", "list": [None, True, 1.5]}
    body = json.dumps({"query": "query($v: JSON!) { echo(value: $v) }", "variables": {"v": value}})
    response = await sample.http.post(
        "/graphql", content=body, headers=sample.headers(**{"Content-Type": "application/json"})
    )
    assert json.loads(response.content) == {"data": {"echo": value}}


async def test_a_query_that_takes_too_long_is_stopped(directory: Path, probe: Probe):
    async with served(directory, request_timeout_seconds=0.2) as sample:
        response = await sample.post("{ sleep }", Accept=GRAPHQL)
        await probe.until(lambda: probe.closed == 1)
    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"


async def test_introspection_by_setting_and_no_names_in_suggestions_without_it(directory: Path):
    async with served(directory, introspection=False) as sample:
        schema = (await sample.post("{ __schema { types { name } } }")).json()
        typo = (await sample.post("{ helo }")).json()
        argument = (await sample.post('{ hello(nam: "x") }')).json()
    assert "introspection" in schema["errors"][0]["message"]
    assert typo["errors"][0]["message"] == "Cannot query field 'helo' on type 'Query'."
    assert "Did you mean" not in argument["errors"][0]["message"]


async def test_with_introspection_a_typo_gets_a_suggestion(sample: Served):
    assert "Did you mean 'hello'?" in (await sample.post("{ helo }")).json()["errors"][0]["message"]


async def test_a_subscription_needs_a_stream(sample: Served):
    response = await sample.post("subscription { count(to: 1) }")
    assert response.status_code == 406
