"""An S3 server of a few hundred lines that costs next to nothing and fails on demand: for fault tests and benchmarks.

It lists (V2, byte order or folder by folder, start-after, tokens, delimiter), gets (ranges, If-Match), puts and deletes
any key, checks no signature, and follows a script of faults. `python -m tests.support.s3_responder --keys 100000`
serves canned objects from a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Literal, Protocol, Self
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes
from xml.sax.saxutils import escape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
BUCKET = "bucket"


@dataclass(slots=True)
class Stored:
    """One object."""

    body: bytes
    etag: str
    modified: str = "2026-01-02T03:04:05.678Z"
    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Objects(Protocol):
    """What is served: keys in byte order and their objects."""

    @property
    def keys(self) -> Sequence[bytes]:
        """In byte order."""
        ...

    def get(self, key: bytes) -> Stored | None:
        """The object of a key."""
        ...


class Store:
    """Objects that tests put."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self._objects: dict[bytes, Stored] = {}

    def get(self, key: bytes) -> Stored | None:
        """The object, or None."""
        return self._objects.get(key)

    def put(self, key: bytes, body: bytes) -> Stored:
        """Writes an object."""
        if key not in self._objects:
            self.keys.insert(bisect_left(self.keys, key), key)
        stored = self._objects[key] = Stored(body, hashlib.md5(body).hexdigest())
        return stored

    def delete(self, key: bytes) -> None:
        """Removes it where it is there."""
        if self._objects.pop(key, None) is not None:
            self.keys.pop(bisect_left(self.keys, key))


class Canned:
    """`count` one-record JSON objects computed from their number; the first `changed` have another ETag and body."""

    def __init__(self, count: int, changed: int = 0) -> None:
        self.keys = [b"data/%05d/%08d.json" % (number // 1000, number) for number in range(count)]
        self._changed = changed

    def get(self, key: bytes) -> Stored | None:
        """The object, made when it is asked for."""
        place = bisect_left(self.keys, key)
        if place == len(self.keys) or self.keys[place] != key:
            return None
        version = int(place < self._changed)
        body = json.dumps({"id": place, "text": f"record number {place:08d}", "label": place % 7, "version": version})
        return Stored(body.encode(), f"{version:02x}{place:030x}")


@dataclass(slots=True)
class Request:
    """One request as it came; `target` is the raw path and query, `key` None for requests about the bucket."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    key: bytes | None
    query: dict[str, str]


@dataclass(slots=True)
class Reply:
    """An answer. `cut`: send only so many bytes of the body, then close."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


class Drop:
    """Close the connection without an answer."""


class Stall:
    """Never answer."""


Fault = Reply | Drop | Stall | Callable[[Request], "Reply | Drop | Stall"]


def error(status: int, code: str, message: str = "", headers: dict[str, str] | None = None, extra: str = "") -> Reply:
    """S3's form of an error."""
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}</Error>"
    return Reply(status, text.encode(), {"Content-Type": "application/xml", **(headers or {})})


class S3Responder:
    """The server: `async with S3Responder() as server`. `faults` answer the next requests, in order, instead of it."""

    def __init__(
        self,
        objects: Objects | None = None,
        *,
        bucket: str = BUCKET,
        region: str = "us-east-1",
        order: Literal["bytes", "folders"] = "bytes",
    ) -> None:
        self.objects: Objects = objects or Store()
        self.bucket = bucket
        self.region = region
        self.order = order
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.requests: deque[Request] = deque(maxlen=1000)
        self.page_size = 1000
        self._pages: dict[tuple[object, ...], bytes] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Store:
        """The objects, where they can be written."""
        assert isinstance(self.objects, Store)
        return self.objects

    async def start(self, port: int = 0) -> None:
        """Listens; after `stop` on the port of before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes every connection, as when the server dies."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.abort()
            await self._server.wait_closed()
            self._server = None

    def answer(self, request: Request) -> Reply | Drop | Stall:
        """What to send."""
        fault = self.faults.popleft() if self.faults else self.always
        if fault is not None:
            return fault(request) if callable(fault) and not isinstance(fault, (Reply, Drop, Stall)) else fault
        if not unquote_to_bytes(request.target.split("?", 1)[0]).startswith(b"/" + self.bucket.encode()):
            return error(404, "NoSuchBucket")
        if request.key is not None:
            return self._object(request, request.key)
        if "cors" in request.query:
            return error(404, "NoSuchCORSConfiguration")
        return Reply(200, self._list(request), {"Content-Type": "application/xml"})

    def _object(self, request: Request, key: bytes) -> Reply:
        if request.method == "PUT":
            return Reply(200, b"", {"ETag": f'"{self.store.put(key, request.body).etag}"'})
        if request.method == "DELETE":
            self.store.delete(key)
            return Reply(204)
        stored = self.objects.get(key)
        if stored is None:
            return error(404, "NoSuchKey")
        if "tagging" in request.query:
            pairs = (f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in stored.tags.items())
            return Reply(200, f"<Tagging><TagSet>{''.join(pairs)}</TagSet></Tagging>".encode())
        tag = f'"{stored.etag}"'
        if request.headers.get("if-match", tag) != tag:
            return error(412, "PreconditionFailed")
        modified = format_datetime(datetime.fromisoformat(stored.modified), usegmt=True)
        headers = {"ETag": tag, "Content-Type": "application/json", "Last-Modified": modified, **stored.headers}
        wanted = request.headers.get("range")
        if wanted is None:
            return Reply(200, stored.body, headers)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) + 1 if last else len(stored.body)
        if start >= len(stored.body):
            return error(416, "InvalidRange")
        part = stored.body[start:end]
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(stored.body)}"
        return Reply(206, part, headers)

    def _list(self, request: Request) -> bytes:
        query = request.query
        size = min(int(query.get("max-keys", "1000")), self.page_size)
        prefix = query.get("prefix", "").encode("utf-8", "surrogateescape")
        after = query.get("start-after", "").encode("utf-8", "surrogateescape")
        token = query.get("continuation-token")
        if token is not None:
            after = bytes.fromhex(token)
        keys = self.objects.keys
        start = max(bisect_left(keys, prefix), bisect_right(keys, after) if after else 0)
        if self.order == "folders":
            return self._list_folders(size, prefix, query)
        if "delimiter" in query or isinstance(self.objects, Store):
            return self._render(start, size, prefix, query.get("delimiter"))
        place = (start, size, query.get("prefix", ""))
        if place not in self._pages:
            self._pages[place] = self._render(start, size, prefix, None)
        return self._pages[place]

    def _render(self, start: int, size: int, prefix: bytes, delimiter: str | None) -> bytes:
        keys = self.objects.keys
        out: list[str] = []
        folders: list[bytes] = []
        place, last = start, b""
        while place < len(keys) and len(out) + len(folders) < size and keys[place].startswith(prefix):
            last = keys[place]
            if delimiter and (cut := last.find(delimiter.encode(), len(prefix))) >= 0:
                folders.append(last[: cut + 1])
                while place < len(keys) and keys[place].startswith(folders[-1]):
                    last = keys[place]
                    place += 1
                continue
            out.append(self._contents(last))
            place += 1
        truncated = place < len(keys) and keys[place].startswith(prefix)
        return self._page(out, folders, last.hex() if truncated else None)

    def _list_folders(self, size: int, prefix: bytes, query: dict[str, str]) -> bytes:
        """As SeaweedFS 4.48: by name in each folder; a `start-after` passes over the folder of that name.

        With a delimiter a page is never cut between a file and the folder of the same name.
        """
        token, delimited = query.get("continuation-token"), bool(query.get("delimiter"))
        place = (size, prefix, token, delimited, start := query.get("start-after", ""))
        if place in self._pages:
            return self._pages[place]
        items = sorted((key for key in self.objects.keys if key.startswith(prefix)), key=_names)
        if token is None and start:
            names = _names(start.encode("utf-8", "surrogateescape"))
            items = [key for key in items if _names(key)[: len(names)] > names]
        if delimited:
            items = list(dict.fromkeys(key[: key.find(b"/", len(prefix)) + 1 or None] for key in items))
        if token is not None:
            last = _names(bytes.fromhex(token))
            items = [item for item in items if _names(item) > last]
        end = min(size, len(items))
        if delimited and 0 < end < len(items) and items[end] == items[end - 1] + b"/":
            end += 1
        folders = [key for key in items[:end] if delimited and key.find(b"/", len(prefix)) >= 0]
        files = [self._contents(key) for key in items[:end] if not folders or key not in folders]
        page = self._page(files, folders, items[end - 1].hex() if end < len(items) else None)
        if not isinstance(self.objects, Store):
            self._pages[place] = page
        return page

    def _contents(self, key: bytes) -> str:
        stored = self.objects.get(key)
        assert stored is not None
        return (
            f"<Contents><Key>{_encode(key)}</Key><LastModified>{stored.modified}</LastModified>"
            f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{len(stored.body)}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _page(self, out: list[str], folders: list[bytes], following: str | None) -> bytes:
        token = f"<NextContinuationToken>{following}</NextContinuationToken>" if following is not None else ""
        common = "".join(f"<CommonPrefixes><Prefix>{_encode(item)}</Prefix></CommonPrefixes>" for item in folders)
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}"><Name>{self.bucket}</Name>'
            f"<EncodingType>url</EncodingType><KeyCount>{len(out)}</KeyCount>"
            f"<IsTruncated>{'false' if following is None else 'true'}</IsTruncated>{token}"
            f"{''.join(out)}{common}</ListBucketResult>"
        ).encode()

    def prepare(self) -> None:
        """Renders every page of a whole listing now, so that serving costs nothing later."""
        keys = self.objects.keys
        for start in range(0, max(len(keys), 1), self.page_size):
            self._pages[start, self.page_size, ""] = self._render(start, self.page_size, b"", None)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, and nothing else of it."""

    def __init__(self, server: S3Responder) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._stalled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._stalled and (request := self._take()) is not None:
            self._server.requests.append(request)
            self._send(request, self._server.answer(request))

    def _take(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length", "0"))
        if len(self._buffer) < end + 4 + size:
            return None
        body = self._buffer[end + 4 : end + 4 + size]
        self._buffer = self._buffer[end + 4 + size :]
        method, target, _ = lines[0].split(" ", 2)
        path, _, query = target.partition("?")
        key = path.partition("/")[2].partition("/")[2]
        pairs = dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
        return Request(method, target, headers, body, unquote_to_bytes(key) if key else None, pairs)

    def _send(self, request: Request, reply: Reply | Drop | Stall) -> None:
        assert self._transport is not None
        if isinstance(reply, Drop):
            self._transport.abort()
            return
        if isinstance(reply, Stall):
            self._stalled = True
            return
        fields = dict(reply.headers)
        if "Transfer-Encoding" not in fields:
            fields.setdefault("Content-Length", str(len(reply.body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        body = b"" if request.method == "HEAD" else reply.body
        self._transport.write(f"HTTP/1.1 {reply.status} -\r\n{head}\r\n".encode("latin-1") + body[: reply.cut])
        if reply.cut is not None:
            self._transport.close()


def _names(key: bytes) -> list[bytes]:
    return key.split(b"/")


def _encode(key: bytes) -> str:
    """As AWS does: a space is `+`, a slash stays."""
    return quote_from_bytes(key, safe="/-_.*").replace("%20", "+")


async def _serve(keys: int, port: int, changed: int, order: Literal["bytes", "folders"]) -> None:
    server = S3Responder(Canned(keys, changed), order=order)
    server.prepare()
    await server.start(port)
    print(server.port, flush=True)  # noqa: T201 - how the caller learns the port
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await server.stop()


def main() -> None:
    """Serves canned objects until it is ended; prints its port first."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--changed", type=int, default=0, help="so many objects from the first on have another content")
    parser.add_argument("--order", choices=("bytes", "folders"), default="bytes")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.keys, arguments.port, arguments.changed, arguments.order))


if __name__ == "__main__":
    main()
