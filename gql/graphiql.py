"""The GraphiQL page and its files: built from web/, served offline under a strict Content-Security-Policy."""

from __future__ import annotations

import gzip
import re
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from starlette.requests import Request

STATIC_PATH = "/static/graphiql"

# Monaco, the editor, sets its measures through `style` attributes in HTML and fills <style> elements that it makes
# itself (colours of the theme, cursors): without 'unsafe-inline' for styles no line of text is placed. It needs it for
# styles alone; scripts, which could read the key, come only from our files, and no address elsewhere can be reached.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; "  # the WebSocket's address too: 'self' covers ws and wss of the same host and port
    "img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "ttf": "font/ttf",
}
_PAGE = "index.html"
_SMALLEST_TO_COMPRESS = 1_000
_GZIP_LEVEL = 6


class _File(NamedTuple):
    """A file as it is sent. `compressed` is None where gzip would not pay."""

    media_type: str
    etag: str
    plain: bytes
    compressed: bytes | None


@cache
def _names() -> frozenset[str]:
    return frozenset(entry.name for entry in files("sluicegate").joinpath("static", "graphiql").iterdir())


@cache
def _load(name: str) -> _File:
    """Read and compress a file once: about 7 MB in all, 2 MB of it compressed."""
    plain = files("sluicegate").joinpath("static", "graphiql", name).read_bytes()
    compressed = gzip.compress(plain, _GZIP_LEVEL, mtime=0) if len(plain) >= _SMALLEST_TO_COMPRESS else None
    media_type = _MEDIA_TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8")
    return _File(media_type, sha256(plain).hexdigest()[:32], plain, compressed)


@cache
def _version() -> str:
    """The build's digest, which the page puts into the address of each of its files."""
    found = re.search(rb"\?v=([0-9a-f]+)", _load(_PAGE).plain)
    if found is None:
        raise RuntimeError("sluicegate/static/graphiql/index.html names no version: build it with web/build.py")
    return found[1].decode()


def _accepts_gzip(request: Request) -> bool:
    for offer in request.headers.get("accept-encoding", "").split(","):
        coding, _, parameters = offer.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return re.fullmatch(r"\s*q=0(\.0*)?\s*", parameters, re.IGNORECASE) is None
    return False


def _respond(request: Request, file: _File, cache_control: str, vary: str = "Accept-Encoding") -> Response:
    packed = file.compressed if _accepts_gzip(request) else None
    # Two forms of one file are two representations: each has its own tag.
    etag = f'"{file.etag}{"" if packed is None else "-gzip"}"'
    headers = _SECURITY_HEADERS | {"Cache-Control": cache_control, "ETag": etag, "Vary": vary}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    return Response(file.plain if packed is None else packed, media_type=file.media_type, headers=headers)


async def graphiql_page(request: Request) -> Response:
    """The page itself. It holds no secret: the key comes to the browser in a fragment, which is never sent."""
    # The same address answers in JSON to those who do not ask for HTML.
    return _respond(request, await run_in_threadpool(_load, _PAGE), "no-cache", "Accept, Accept-Encoding")


async def _static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name == _PAGE or name not in _names():
        return Response(status_code=404, headers=_SECURITY_HEADERS)
    # For ever only under this build's version: during an upgrade the page may come from the other version's process.
    current = request.query_params.get("v") == await run_in_threadpool(_version)
    cache_control = "public, max-age=31536000, immutable" if current else "no-cache"
    return _respond(request, await run_in_threadpool(_load, name), cache_control)


def static_routes() -> list[BaseRoute]:
    """The page's files, for the application's routes."""
    return [Route(f"{STATIC_PATH}/{{name}}", _static_file, methods=["GET"], name="graphiql-static")]
