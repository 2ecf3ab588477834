"""The steps of an S3 storage's validation."""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import aiohttp
from yarl import URL

from sluicegate.core.errors import ErrorCode, FatalError, RunError, SkippableError
from sluicegate.core.net import Connector, transport_error
from sluicegate.providers.base import Check, CheckStatus, Entry
from sluicegate.providers.checking import Finding, Step, run_steps
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.listing import Lister
from sluicegate.providers.s3.order import Order
from sluicegate.providers.s3.queue import Queue
from sluicegate.providers.s3.reading import open_object
from sluicegate.providers.s3.settings import MAX_KEY_BYTES, Settings
from sluicegate.providers.s3.xml import MalformedXmlError, namespace_of, parse_xml

_SAMPLE = 20
_MAX_CORS = 1024 * 1024
_AUTHENTICATED = frozenset({"AccessDenied", "AllAccessDisabled", "NoSuchBucket", "403", "404"})


class _Checks:
    def __init__(self, connector: Connector, client: S3Client, settings: Settings, queue: Queue | None) -> None:
        self._connector = connector
        self._client = client
        self._settings = settings
        self._queue = queue
        self._prefix = settings.prefix.encode()
        self._entries: list[Entry] = []
        self._listing: RunError | None = None

    def steps(self, *, write: bool) -> list[Step]:
        steps: list[Step] = [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("authenticate", self.authenticate),
            ("list", self.list),
            ("read", self.read),
            ("cors", self.cors),
        ]
        return [*steps, *([("write", self.write)] if write else []), ("events", self.events)]

    def _root(self) -> URL:
        return self._client.target.url("/", "")

    async def resolve(self) -> Finding:
        url = self._root()
        self._connector.check_url(url)
        host, port = url.raw_host or "", url.port or 0
        try:
            found = await self._connector.resolver.resolve(host, port)
        except OSError as error:
            code = "DNS_TIMEOUT" if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN else "DNS"
            raise FatalError(
                f"The name {host} cannot be resolved.",
                code=ErrorCode.PROVIDER_UNAVAILABLE,
                provider_code=code,
                hint="Check s3Endpoint, or regionName and bucket where there is none.",
            ) from None
        return Finding(f"{host} has {len(found)} address{'' if len(found) == 1 else 'es'} that may be reached.")

    async def connect(self) -> Finding:
        url = self._root()
        try:
            async with self._connector.request("GET", url) as response:
                response.close()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise transport_error(error, self._client.host) from None
        return Finding(f"{self._client.host} answers over {url.scheme}.")

    async def authenticate(self) -> Finding:
        await self._client.credentials()
        try:
            lister = Lister(self._client, self._prefix, Order(), after=None)
            async with aclosing(lister.pages(_SAMPLE)) as pages:
                async for page in pages:
                    self._entries += page.entries
        except RunError as error:
            if error.provider_code not in _AUTHENTICATED and error.code is ErrorCode.PROVIDER_AUTH:
                raise
            self._listing = error
        role = " and may assume the role" if self._settings.role_arn else ""
        return Finding(f"The server knows the credentials{role}.")

    async def list(self) -> Finding:
        if self._listing is not None:
            raise self._listing
        if not self._entries:
            return Finding(
                f"Nothing is stored under the prefix {self._settings.prefix!r}."
                if self._prefix
                else "The bucket is empty.",
                CheckStatus.WARNING,
                hint="A prefix is compared with the start of the key, without a leading slash."
                if self._prefix
                else None,
            )
        return Finding(f"The bucket {self._settings.bucket} can be listed.")

    async def read(self) -> Finding:
        sample = next((entry for entry in self._entries if entry.size), None)
        if sample is None:
            return Finding("There is no object with content to read.", CheckStatus.SKIPPED)
        async with open_object(self._client, sample.key, start=0, end=1, fingerprint=None) as content:
            async for _ in content.chunks():
                break
        return Finding("An object was read.")

    async def cors(self) -> Finding:
        hint = "Add a CORS rule that allows GET from the front end's origin, or set presign to false."
        try:
            root = parse_xml(await self._client.fetch("GET", query={"cors": ""}, limit=_MAX_CORS))
        except RunError as error:
            if error.provider_code == "NoSuchCORSConfiguration":
                detail = "The bucket has no CORS rules: browsers will not load its links from another origin."
                return Finding(detail, CheckStatus.WARNING, error.provider_code, hint)
            detail = "Whether browsers may load links could not be found out."
            return Finding(
                detail, CheckStatus.WARNING, error.provider_code, "The credentials need s3:GetBucketCORS for this."
            )
        except MalformedXmlError:
            return Finding("Whether browsers may load links could not be found out.", CheckStatus.WARNING)
        space = namespace_of(root)
        methods = {node.text for node in root.iterfind(f"{space}CORSRule/{space}AllowedMethod")}
        if "GET" not in methods:
            return Finding("No CORS rule of the bucket allows GET.", CheckStatus.WARNING, hint=hint)
        return Finding("The bucket's CORS rules allow GET.")

    async def events(self) -> Finding:
        if self._queue is None:
            return Finding("The storage has no event queue.", CheckStatus.SKIPPED)
        await self._queue.check()
        return Finding("The event queue can be asked.")

    async def write(self) -> Finding:
        name = b".sluicegate-probe-" + secrets.token_hex(8).encode()
        key = self._prefix[: MAX_KEY_BYTES - len(name)].decode(errors="ignore").encode() + name
        headers = {"content-type": "application/octet-stream"}
        kms = self._settings.aws_sse_kms_key_id
        if kms:
            headers |= {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": kms}
        await self._change("PUT", "s3:PutObject (and kms:GenerateDataKey with a KMS key)", key, headers, b"sluicegate")
        await self._change("DELETE", "s3:DeleteObject", key)
        return Finding("An object was written" + (" with the KMS key" if kms else "") + " and deleted again.")

    async def _change(
        self, method: str, right: str, key: bytes, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """A PUT or DELETE. Raises RunError in the words of a write."""
        try:
            await self._client.fetch(method, key, headers=headers, body=body)
        except SkippableError as error:
            raise FatalError(
                f"A {method} of the probe {key.decode(errors='replace')} was refused.",
                code=error.code,
                provider_code=error.provider_code,
                hint=f"The credentials need {right}.",
            ) from None


def run_checks(
    connector: Connector, client: S3Client, settings: Settings, queue: Queue | None, *, write: bool
) -> AsyncIterator[Check]:
    """The checks, one after the other."""
    return run_steps(_Checks(connector, client, settings, queue).steps(write=write))
