"""Signed requests to one bucket over the guarded connector, with errors as run errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
from yarl import URL

from sluicegate.core.clock import now
from sluicegate.core.errors import SluicegateError
from sluicegate.core.net import Connector, read_bounded, transport_error
from sluicegate.providers.s3.credentials import CredentialSource
from sluicegate.providers.s3.errors import Answer, read_answer, run_error
from sluicegate.providers.s3.settings import Settings
from sluicegate.providers.s3.signing import (
    MAX_LINK_SECONDS,
    Credentials,
    Scope,
    encode_path,
    encode_query,
    presign,
    sign_headers,
)
from sluicegate.providers.s3.target import target_of
from sluicegate.providers.throttle import Throttle

MAX_ERROR_BODY = 64 * 1024
_SUCCESS_BELOW = 300
_WRONG_REGION = frozenset({301, 307, 400, 403})


class S3Client:
    """One bucket. It follows the bucket's region by itself, once; every other redirect is refused."""

    def __init__(
        self, connector: Connector, settings: Settings, credentials: CredentialSource, throttle: Throttle
    ) -> None:
        self._connector = connector
        self._settings = settings
        self._credentials = credentials
        self.throttle = throttle
        self.target = target_of(settings)
        self._moved = False

    @property
    def host(self) -> str:
        """The host that is spoken to."""
        return self.target.host

    async def credentials(self) -> Credentials:
        """The keys in use. Raises RunError where they must be fetched and cannot."""
        return await self._credentials.get()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        key: bytes | None = None,
        query: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """The response when it is a success; its body is not yet read. Raises RunError.

        What is raised inside the block passes as it is: only the request's own errors are turned into run errors.
        """
        encoded = encode_query(query or {})
        while True:
            await self.throttle.request()
            credentials = await self._credentials.get()
            url, signed = self._signed(method, key, encoded, headers, body, credentials)
            try:
                response = await self._connector.request(method, url, headers=signed, data=body or None)
                answer = None if response.status < _SUCCESS_BELOW else await self._answer(response)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise transport_error(error, self.host) from None
            if answer is None:
                async with response:
                    yield response
                return
            if not self._follow(answer):
                role = self._settings.role_arn is not None
                raise run_error(answer, bucket=self._settings.bucket, role=role, in_object=key is not None)

    async def fetch(
        self,
        method: str,
        key: bytes | None = None,
        query: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        limit: int = MAX_ERROR_BODY,
    ) -> bytes:
        """The whole answer to a request, at most `limit` bytes. Raises RunError."""
        async with self.request(method, key, query, headers, body) as response:
            try:
                return await read_bounded(response, limit)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise transport_error(error, self.host) from None

    async def presign(self, key: bytes, seconds: int) -> str | None:
        """A GET link for at most `seconds`, 7 days, and as long as the credentials live. Raises RunError.

        None for a key with `.` or `..` between slashes: whoever opens the link takes these for a path and shortens it.
        """
        if not {b".", b".."}.isdisjoint(key.split(b"/")):
            return None
        credentials = await self._credentials.get()
        when = now()
        if credentials.expires is not None:
            seconds = min(seconds, int((credentials.expires - when) / timedelta(seconds=1)))
        target = self.target
        path = self._path(key)
        query = presign(
            target.host, path, credentials, Scope(target.region), when, max(1, min(seconds, MAX_LINK_SECONDS))
        )
        return f"{target.scheme}://{target.host}{path}?{query}"

    def _path(self, key: bytes | None) -> str:
        return (
            self.target.base
            + ("/" if key is None and not self.target.base else "")
            + ("" if key is None else "/" + encode_path(key))
        )

    def _signed(
        self,
        method: str,
        key: bytes | None,
        query: str,
        headers: Mapping[str, str] | None,
        body: bytes,
        credentials: Credentials,
    ) -> tuple[URL, dict[str, str]]:
        target = self.target
        path = self._path(key)
        signed = sign_headers(
            method, target.host, path, query, credentials, Scope(target.region), now(), headers=headers, body=body
        )
        return target.url(path, query), signed

    async def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        async with response:
            try:
                body = await read_bounded(response, MAX_ERROR_BODY)
            except SluicegateError:
                body = b""  # too long to be one of S3: the status alone says what it is
            return read_answer(response.status, response.headers, body)

    def _follow(self, answer: Answer) -> bool:
        """Takes the region that the server named, the first time; True when the request is to be sent again."""
        region = answer.region
        if self._moved or answer.status not in _WRONG_REGION or region is None or region == self.target.region:
            return False
        self._moved = True
        self.target = target_of(self._settings, region)
        return True
