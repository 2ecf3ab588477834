"""Buckets to read from, on each of the S3 servers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from sluicegate.core.net import Connector
from sluicegate.providers import s3
from sluicegate.providers.base import Provider, ProviderContext
from sluicegate.providers.s3.client import S3Client
from sluicegate.providers.s3.credentials import credential_source
from sluicegate.providers.throttle import Throttle
from tests.providers.conformance import Source

_CONTEXT = ("ambient_aws", "connector", "throttle", "namespace", "namespace_id")


class Bucket(Source):
    """A bucket behind an endpoint, written by signed PUTs of our own."""

    def __init__(self, endpoint: str, bucket: str, access_key: str, secret_key: str) -> None:
        self.endpoint = endpoint
        self.bucket = bucket
        self.values: dict[str, Any] = {
            "bucket": bucket,
            "s3_endpoint": endpoint,
            "aws_access_key_id": access_key,
            "aws_secret_access_key": secret_key,
        }
        self.secrets = (secret_key,)
        self.connector = Connector("127.0.0.1")

    async def __aenter__(self) -> Self:
        await self.connector.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connector.aclose()

    async def request(
        self,
        method: str,
        key: bytes | None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> None:
        """A request as the owner of the bucket."""
        context = self.context()
        settings = s3.parse(self.values, context=context)
        client = S3Client(self.connector, settings, credential_source(settings, context), Throttle())
        async with client.request(method, key, query, headers, body) as response:
            await response.read()

    async def create(self) -> None:
        """Makes the bucket."""
        await self.request("PUT", None)

    async def put(self, key: bytes, body: bytes) -> None:
        await self.request("PUT", key, body)

    async def delete(self, key: bytes) -> None:
        await self.request("DELETE", key)

    def context(self, **changes: Any) -> ProviderContext:
        """What the process gives."""
        values: dict[str, Any] = {"connector": self.connector, "namespace": "tenant", "namespace_id": 1, **changes}
        return ProviderContext(local_roots={}, data_dir="", **values)

    @asynccontextmanager
    async def open(self, **changes: Any) -> AsyncGenerator[Provider, None]:
        context = self.context(**{name: changes.pop(name) for name in _CONTEXT if name in changes})
        settings = s3.parse({**self.values, **changes}, context=context)
        async with s3.open_provider(settings, context) as provider:
            yield provider
