"""Where the keys of a storage come from: given; or of a role, assumed with given keys or the machine's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from sluicegate.core.clock import now
from sluicegate.providers.base import ProviderContext
from sluicegate.providers.s3.settings import Settings, namespace_external_id
from sluicegate.providers.s3.signing import Credentials
from sluicegate.providers.s3.sts import assume_role

REFRESH_BEFORE = timedelta(minutes=5)


class CredentialSource(Protocol):
    """Gives keys that work now."""

    async def get(self) -> Credentials:
        """The keys, renewed when they are about to expire. Raises RunError."""
        ...


class StaticCredentials:
    """Keys as they were given."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get(self) -> Credentials:
        """Always the same."""
        return self._credentials


class RefreshingCredentials:
    """Keys that are fetched when first needed and again 5 minutes before they expire; one fetch at a time."""

    def __init__(self, fetch: Callable[[], Awaitable[Credentials]]) -> None:
        self._fetch = fetch
        self._current: Credentials | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Credentials:
        """The keys; without a request while they are fresh."""
        if (fresh := self._fresh()) is not None:
            return fresh
        async with self._lock:
            if (fresh := self._fresh()) is None:
                fresh = self._current = await self._fetch()
            return fresh

    def _fresh(self) -> Credentials | None:
        current = self._current
        if current is None or (current.expires is not None and current.expires - now() <= REFRESH_BEFORE):
            return None
        return current


def credential_source(settings: Settings, context: ProviderContext) -> CredentialSource:
    """The source that the settings ask for. Without ambient_aws nothing of the environment or its files is read."""
    if settings.aws_access_key_id is None or settings.aws_secret_access_key is None:
        from sluicegate.providers.s3.ambient import AmbientCredentials

        base: CredentialSource = AmbientCredentials()
        external_id: str | None = namespace_external_id(context)
    else:
        token = settings.aws_session_token
        base = StaticCredentials(
            Credentials(
                settings.aws_access_key_id.get_secret_value(),
                settings.aws_secret_access_key.get_secret_value(),
                token.get_secret_value() if token else None,
            )
        )
        external_id = settings.external_id
    if not settings.role_arn:
        return base
    role = settings.role_arn

    async def fetch() -> Credentials:
        return await assume_role(
            context.connector, settings, await base.get(), role, external_id, f"sluicegate-{context.namespace_id}"
        )

    return RefreshingCredentials(fetch)
