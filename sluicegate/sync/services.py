"""What a run needs of the process, and how a storage's row becomes an open provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from models.access import Namespace
from models.database import ALL, Database
from models.storages import Storage
from sluicegate.core.crypto import SecretBox
from sluicegate.core.errors import ConfigurationError, FatalError, InvalidError
from sluicegate.core.net import Connector
from sluicegate.providers import registry
from sluicegate.providers.base import Provider, ProviderContext, ProviderType
from sluicegate.providers.throttle import Throttle, Throttles


@dataclass(frozen=True, slots=True)
class SyncServices:
    """The process's parts that providers and runs use. `local_roots`: namespace name → folder."""

    database: Database
    secrets: SecretBox
    connector: Connector
    local_roots: Mapping[str, str]
    data_dir: str
    ambient_aws: bool = False
    throttles: Throttles = field(default_factory=Throttles)

    async def context(self, namespace_id: int, storage: Storage | None = None) -> ProviderContext:
        """What a provider of this namespace is given; the ceilings are the storage's, shared by all open."""
        async with self.database.read(ALL) as session:
            namespace = await session.get_one(Namespace, namespace_id)
        return ProviderContext(
            connector=self.connector,
            namespace=namespace.name,
            namespace_id=namespace_id,
            local_roots=self.local_roots,
            data_dir=self.data_dir,
            ambient_aws=self.ambient_aws,
            throttle=self.throttles.of(storage.id, storage.max_requests_per_second, storage.max_bytes_per_second)
            if storage
            else Throttle(),
        )

    @asynccontextmanager
    async def open_provider(self, storage: Storage) -> AsyncGenerator[Provider]:
        """The storage's provider with its stored credentials. Raises FatalError when they or the settings don't do."""
        secrets: dict[str, str] = {}
        try:
            if storage.sealed_secrets is not None:
                secrets = self.secrets.open(
                    storage.sealed_secrets, table="storage", row=storage.id, namespace=storage.namespace_id
                )
            module = registry.spec(ProviderType(storage.type)).load()
            context = await self.context(storage.namespace_id, storage)
            settings = module.parse({**storage.settings, **secrets}, context=context)
        except (InvalidError, ConfigurationError) as error:
            raise FatalError(error.message, code=error.code, hint=error.hint) from None
        async with module.open_provider(settings, context) as provider:
            yield provider
