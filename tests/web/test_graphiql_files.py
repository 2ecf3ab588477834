"""How the page and its files are served: headers, validation, compression."""

import gzip
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gql.graphiql import graphiql_page, static_routes

BUNDLE = "/static/graphiql/graphiql.js"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[Route("/graphql", graphiql_page), *static_routes()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


async def test_the_page_allows_scripts_and_connections_of_its_own_origin_alone(http: httpx.AsyncClient) -> None:
    page = await http.get("/graphql")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["vary"] == "Accept, Accept-Encoding"
    assert re.search(r"<script(?![^>]*src=)|\son\w+=|https?://", page.text) is None


async def test_every_file_that_the_page_names_is_served_for_ever_under_its_version(http: httpx.AsyncClient) -> None:
    page = await http.get("/graphql")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 4
    for address in addresses:
        file = await http.get(f"/{address}")
        assert file.status_code == 200
        assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "default-src 'none'" in file.headers["content-security-policy"]


@pytest.mark.parametrize("query", ["", "?v=", "?v=0000000000000000"])
async def test_a_file_under_another_version_is_asked_for_again(http: httpx.AsyncClient, query: str) -> None:
    file = await http.get(f"{BUNDLE}{query}")
    assert file.headers["cache-control"] == "no-cache"
    again = await http.get(f"{BUNDLE}{query}", headers={"If-None-Match": f'"x", W/{file.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == file.headers["etag"]
    other = await http.get(f"{BUNDLE}{query}", headers={"If-None-Match": '"x"'})
    assert other.status_code == 200


async def test_compression_is_the_clients_choice_and_has_a_tag_of_its_own(http: httpx.AsyncClient) -> None:
    plain = await http.get(BUNDLE, headers={"Accept-Encoding": "identity"})
    refused = await http.get(BUNDLE, headers={"Accept-Encoding": "br, gzip;q=0"})
    assert plain.content == refused.content
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    async with http.stream("GET", BUNDLE, headers={"Accept-Encoding": "br, GZIP;q=0.5"}) as response:
        packed = b"".join([chunk async for chunk in response.aiter_raw()])
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(packed) == plain.content


@pytest.mark.parametrize("name", ["index.html", "missing.js", "..%2f..%2fsettings.py", "%2e%2e/x", ""])
async def test_nothing_else_is_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/static/graphiql/{name}")).status_code == 404


async def test_the_whole_page_stays_small(http: httpx.AsyncClient) -> None:
    names = ["graphiql.js", "graphiql.css", "codicon.ttf", "graphql.worker.js", "json.worker.js", "editor.worker.js"]
    total = 0
    for name in names:
        async with http.stream("GET", f"/static/graphiql/{name}", headers={"Accept-Encoding": "gzip"}) as response:
            total += sum([len(chunk) async for chunk in response.aiter_raw()])
    assert total < 2_500_000
