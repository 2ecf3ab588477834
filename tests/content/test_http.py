import asyncio
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gql.content import ContentEndpoint
from gql.content_headers import disposition, file_name
from sluicegate.providers.local.files import fingerprint_of
from tests.content.files import Files, catalogued, gateway_over
from tests.events.rows import until

BODY = bytes(range(256)) * 40
SVG = b"""<svg xmlns="http://www.w3.org/2000/svg"><script>document.title = 'owned'</script></svg>"""


async def test_the_headers_keep_a_file_inert(files: Files) -> None:
    row = await files.put("a.html", b"<script>alert(1)</script>", mime_type="text/html")
    headers = (await files.gateway.http.get(files.link(row))).headers
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["content-disposition"].startswith("attachment;")
    assert re.fullmatch(r"private, max-age=\d+", headers["cache-control"])
    with_key = await files.gateway.http.get(files.path(row), headers=files.gateway.headers(namespace="default"))
    assert with_key.headers["cache-control"] == "private, no-store"


async def test_an_svg_with_a_script_is_a_download_in_a_sandbox(files: Files) -> None:
    row = await files.put("drawing.svg", SVG, mime_type="image/svg+xml")
    response = await files.gateway.http.get(files.link(row))
    assert response.content == SVG
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["content-security-policy"].startswith("sandbox;")


@pytest.mark.parametrize(
    ("mime_type", "word", "sent"),
    [
        ("image/png", "inline", "image/png"),
        ("image/jpeg; q=1", "inline", "image/jpeg"),
        ("IMAGE/WEBP", "inline", "image/webp"),
        ("audio/mpeg", "inline", "audio/mpeg"),
        ("video/mp4", "inline", "video/mp4"),
        ("image/svg+xml", "attachment", "image/svg+xml"),
        ("text/html", "attachment", "text/html"),
        ("application/pdf", "attachment", "application/pdf"),
        ("image/png\r\nX-Evil: 1", "attachment", "application/octet-stream"),
        ("nonsense", "attachment", "application/octet-stream"),
        (None, "attachment", "application/octet-stream"),
    ],
)
async def test_only_images_audio_and_video_are_shown(files: Files, mime_type: str | None, word: str, sent: str) -> None:
    row = await files.put("file", b"x", mime_type=mime_type)
    headers = (await files.gateway.http.get(files.link(row))).headers
    assert headers["content-disposition"].startswith(f"{word};")
    assert headers["content-type"] == sent
    assert "x-evil" not in headers


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=5-9", 206, 5, 9),
        ("bytes=10000-", 206, 10_000, 10_239),
        ("bytes=-1", 206, 10_239, 10_239),
        ("bytes=-99999", 206, 0, 10_239),
        ("bytes=0-99999", 206, 0, 10_239),
        ("BYTES = 1-2", 206, 1, 2),
        ("bytes=0-1,5-6", 200, 0, 10_239),
        ("bytes=9-5", 200, 0, 10_239),
        ("bytes=-", 200, 0, 10_239),
        ("lines=1-2", 200, 0, 10_239),
        ("bytes=" + "9" * 5_000 + "-", 200, 0, 10_239),
    ],
)
async def test_one_range_is_served(files: Files, asked: str, status: int, first: int, last: int) -> None:
    row = await files.put("a.bin", BODY)
    response = await files.gateway.http.get(files.link(row), headers={"Range": asked})
    assert response.status_code == status
    assert response.content == BODY[first : last + 1]
    assert response.headers["content-length"] == str(last + 1 - first)
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers.get("content-range") == (f"bytes {first}-{last}/10240" if status == 206 else None)


@pytest.mark.parametrize("asked", ["bytes=10240-", "bytes=10240-10250", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused_with_the_size(files: Files, asked: str) -> None:
    row = await files.put("a.bin", BODY)
    response = await files.gateway.http.get(files.link(row), headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */10240"


async def test_an_empty_object_is_sent_as_such(files: Files) -> None:
    row = await files.put("empty", b"")
    for headers in ({}, {"Range": "bytes=-5"}):
        response = await files.gateway.http.get(files.link(row), headers=headers)
        assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")
    assert (await files.gateway.http.get(files.link(row), headers={"Range": "bytes=0-"})).status_code == 416


async def test_head_says_the_same_without_the_body(files: Files) -> None:
    row = await files.put("a.bin", BODY)
    got = await files.gateway.http.get(files.link(row))
    head = await files.gateway.http.head(files.link(row), headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type", "content-disposition", "accept-ranges"):
        assert head.headers[name] == got.headers[name]
    assert (await files.gateway.http.post(files.link(row))).status_code == 405


async def test_what_the_client_has_is_not_sent_again(files: Files) -> None:
    row = await files.put("a.bin", BODY)
    get = files.gateway.http.get
    tag = (await get(files.link(row))).headers["etag"]
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        response = await get(files.link(row), headers={"If-None-Match": header})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert (await get(files.link(row), headers={"If-None-Match": '"other"'})).status_code == 200
    assert (await get(f"{files.path(row)}?link=x", headers={"If-None-Match": tag})).status_code == 403


async def test_if_range_sends_the_rest_only_of_the_same_version(files: Files) -> None:
    row = await files.put("a.bin", BODY)
    get = files.gateway.http.get
    tag = (await get(files.link(row))).headers["etag"]
    same = await get(files.link(row), headers={"Range": "bytes=5-9", "If-Range": tag})
    assert (same.status_code, same.content) == (206, BODY[5:10])
    for other in ('"other"', f"W/{tag}", "Sat, 01 Jan 2022 00:00:00 GMT"):
        whole = await get(files.link(row), headers={"Range": "bytes=5-9", "If-Range": other})
        assert (whole.status_code, whole.content) == (200, BODY)


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-3"}])
async def test_a_file_that_changed_since_is_not_passed_off_as_the_object(files: Files, headers: dict[str, str]) -> None:
    row = await files.put("a.bin", BODY)
    (files.root / "a.bin").write_bytes(b"other content")
    response = await files.gateway.http.get(files.link(row), headers=headers)
    assert response.status_code == 412
    assert response.json()["errors"][0]["extensions"]["code"] == "CONFLICT"
    (files.root / "a.bin").unlink()
    response = await files.gateway.http.get(files.link(row), headers=headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")


async def test_a_link_is_to_one_version_of_the_object(files: Files) -> None:
    row = await files.put("a.bin", BODY)
    link = files.link(row)
    async with files.gateway.services.database.write(row.namespace_id) as session:
        (files.root / "a.bin").write_bytes(b"newer")
        synced_again = await session.merge(row)
        synced_again.fingerprint = fingerprint_of((files.root / "a.bin").stat())
        synced_again.size_bytes = 5
    assert (await files.gateway.http.get(link)).status_code == 412
    assert (await files.gateway.http.get(files.link(synced_again))).content == b"newer"


async def test_a_record_leads_to_the_file_that_it_was_read_from(files: Files) -> None:
    body = b'{"a": 1}\n{"a": 2}\n'
    file = await files.put("rows.jsonl", body, mime_type="application/jsonl")
    await files.source_file("rows.jsonl", file.fingerprint)
    row = await files.catalogue("rows.jsonl", "hash of the row", row=1, data={"a": 2}, size_bytes=len(body))
    response = await files.gateway.http.get(files.link(row))
    assert (response.status_code, response.content) == (200, body)
    part = await files.gateway.http.get(files.link(row), headers={"Range": "bytes=-9"})
    assert (part.status_code, part.content) == (206, b'{"a": 2}\n')
    (files.root / "rows.jsonl").write_bytes(b"{}")
    assert (await files.gateway.http.get(files.link(row))).status_code == 412


@pytest.mark.parametrize("read_to_its_end", [True, False])
async def test_a_record_of_a_file_that_was_not_read_to_its_end_still_has_its_file(
    files: Files, read_to_its_end: bool
) -> None:
    (files.root / "rows.jsonl").write_bytes(BODY)
    if read_to_its_end:
        await files.source_file("rows.jsonl", "")
    row = await files.catalogue("rows.jsonl", "hash of the row", row=0, data={"a": 2}, size_bytes=3)
    assert (await files.gateway.http.get(files.link(row))).content == BODY
    part = await files.gateway.http.get(files.link(row), headers={"Range": "bytes=-3"})
    assert (part.status_code, part.content) == (206, BODY[-3:])
    assert part.headers["etag"]


async def test_a_source_that_fails_tells_the_code_and_no_detail(files: Files) -> None:
    row = await files.put("a.bin", BODY)
    os.rename(files.root, files.root.with_name("away"))  # noqa: PTH104
    response = await files.gateway.http.get(files.link(row))
    assert response.status_code in (404, 502)
    assert str(files.root) not in response.text
    assert "LOCAL_ROOTS" not in response.text


async def test_a_client_that_goes_away_frees_its_place_and_closes_the_file(files: Files) -> None:
    row = await files.put("big.bin", b"\0" * 30_000_000)
    endpoint = endpoint_of(files)
    url = urlsplit(files.link(row))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await until(lambda: endpoint.open_streams == 1)
    assert opened(files.root) == 1
    writer.transport.abort()
    await until(lambda: endpoint.open_streams == 0)
    assert opened(files.root) == 0


async def test_a_client_that_stops_reading_is_cut_and_holds_little_memory(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await files.put("big.bin", b"\0" * 30_000_000)
    endpoint = endpoint_of(files)
    monkeypatch.setattr(endpoint, "_stall_seconds", 0.3)
    url = urlsplit(files.link(row))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await until(lambda: endpoint.open_streams == 1)
    await until(lambda: endpoint.open_streams == 0)
    received = 0
    while chunk := await reader.read(65_536):
        received += len(chunk)
    assert received < 30_000_000
    writer.close()
    assert (await files.gateway.http.get(files.link(row))).status_code == 200


async def test_too_many_at_once_are_asked_to_come_again(tmp_path: Path) -> None:
    async with gateway_over(tmp_path, content_streams=1) as gateway:
        files = await catalogued(gateway, tmp_path)
        row = await files.put("big.bin", b"\0" * 30_000_000)
        async with files.gateway.http.stream("GET", files.link(row)) as first:
            assert first.status_code == 200
            refused = await files.gateway.http.get(files.link(row))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
        await until(lambda: endpoint_of(files).open_streams == 0)
        assert (await files.gateway.http.get(files.link(row))).status_code == 200


async def test_a_source_that_breaks_off_never_looks_complete(files: Files) -> None:
    row = await files.put("big.bin", b"\0" * 30_000_000)
    url = urlsplit(files.link(row))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    os.truncate(files.root / "big.bin", 10)
    received = 0
    while chunk := await reader.read(65_536):
        received += len(chunk)
    assert received < 30_000_000
    writer.close()
    await until(lambda: endpoint_of(files).open_streams == 0)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b/report.pdf", "report.pdf"),
        ("..\\..\\evil.exe", "evil.exe"),
        ('say "hi".txt', 'say "hi".txt'),
        ("new\nline\r.txt", "newline.txt"),
        ("👩‍👩‍👧 😀.png", "👩‍👩‍👧 😀.png"),
        ("gpj.\u202eexe.scr", "gpj.exe.scr"),
        ("a\u2028b\u2029c\ud800\u0378.txt", "abc.txt"),
        ("folder/", ""),
        ("..", ""),
        ("a%2Fb;c.txt", "a%2Fb;c.txt"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
    ],
)
def test_a_file_name_is_one_and_plain(path: str, name: str) -> None:
    assert file_name(path) == name


@given(st.text(max_size=300))
def test_a_disposition_is_a_header_whatever_the_name(path: str) -> None:
    header = disposition("text/plain", path, "object-7")
    found = re.fullmatch(r'attachment; filename="([ -~]+)"; filename\*=UTF-8\'\'([!#$&+.^_`|~%A-Za-z0-9-]+)', header)
    assert found is not None
    assert not set('"\\%/') & set(found[1])
    assert unquote(found[2], errors="strict") == (file_name(path) or "object-7")


async def test_the_name_arrives(files: Files) -> None:
    row = await files.put('tab\tquote".txt', b"x", mime_type="text/plain", path='a/naïve "q"\n.txt')
    header = (await files.gateway.http.get(files.link(row))).headers["content-disposition"]
    assert header == "attachment; filename=\"na_ve _q_.txt\"; filename*=UTF-8''na%C3%AFve%20%22q%22.txt"


def opened(folder: Path) -> int:
    """How many files of a folder this process holds open."""
    links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return sum(link.is_relative_to(folder) for link in links)


def endpoint_of(files: Files) -> ContentEndpoint:
    """The route's application in the running gateway."""
    for each in files.gateway.app.router.routes:
        endpoint = getattr(each, "endpoint", None)
        if isinstance(endpoint, ContentEndpoint):
            return endpoint
    raise AssertionError("no content route")
