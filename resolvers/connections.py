"""Connections to sources as callers give them: checked, tried, split into what is stored plainly and sealed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from models.storages import Storage
from resolvers.access import Viewer
from resolvers.checks import check_json
from resolvers.services import Services
from sluicegate.core.errors import ErrorCode, FatalError, RunError
from sluicegate.providers import registry
from sluicegate.providers.base import Check, CheckStatus, Provider, ProviderContext, ProviderType
from sluicegate.providers.parsing import camel
from sluicegate.sync.filters import Filters
from sluicegate.sync.preview import Preview, preview

_SAMPLE_OBJECTS = 1_000  # what S3 lists with one request
_SAMPLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Connection:
    """Checked settings of one kind of storage. `plain` is stored as it is, `secrets` are sealed."""

    kind: ProviderType
    plain: dict[str, Any]
    secrets: dict[str, str]
    context: ProviderContext

    @property
    def secret_names(self) -> list[str]:
        """The names of the secrets that are set, as the public schema writes them."""
        return sorted(map(camel, self.secrets))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Provider]:
        """The source, open. Raises RunError that names the provider."""
        with naming(self.kind):
            package = registry.spec(self.kind).load()
            settings = package.parse({**self.plain, **self.secrets}, context=self.context)
            async with package.open_provider(settings, self.context) as provider:
                yield provider


class naming:  # noqa: N801 - used like a function
    """Names the provider in a run error that passes, for the caller's typed error."""

    def __init__(self, kind: str) -> None:
        self._kind = str(kind)

    def __enter__(self) -> None: ...

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, RunError):
            error.provider = self._kind


async def connection(services: Services, viewer: Viewer, kind: ProviderType, values: Mapping[str, Any]) -> Connection:
    """The settings that a caller gave, checked but not tried. Raises InvalidError for the first problem."""
    with naming(kind):
        package = registry.spec(kind).load()
    context = await services.sync.context(viewer.namespace.id)
    settings = package.parse(values, context=context).model_dump(exclude_none=True)
    secrets = {name: _revealed(settings.pop(name)) for name in sorted(package.SECRETS & settings.keys())}
    plain = {name: check_json(value, ("provider", kind.value.lower(), camel(name))) for name, value in settings.items()}
    return Connection(kind, plain, secrets, context)


def stored_secrets(services: Services, storage: Storage) -> dict[str, str]:
    """The secrets of a storage's row."""
    if storage.sealed_secrets is None:
        return {}
    return services.secrets.open(
        storage.sealed_secrets, table="storage", row=storage.id, namespace=storage.namespace_id
    )


def seal(services: Services, storage: Storage, secrets: Mapping[str, str], names: Sequence[str]) -> None:
    """Puts secrets into a storage's row, which must have its id: they are bound to it."""
    storage.credentials_set = list(names)
    storage.sealed_secrets = (
        services.secrets.seal(secrets, table="storage", row=storage.id, namespace=storage.namespace_id)
        if secrets
        else None
    )


async def run_checks(opened: Connection, *, write: bool = False) -> list[Check]:
    """Tries a connection step by step; what is wrong is in the checks."""
    try:
        async with opened.open() as provider:
            return [check async for check in provider.validate(write=write)]
    except RunError as error:
        return [Check("open", CheckStatus.FAILED, error.message, 0.0, error.provider_code, error.hint, error.code)]


async def sample(opened: Connection, filters: Filters, *, recursive: bool) -> Preview | None:
    """What the rules leave of the first 1,000 objects; None when they cannot be listed now."""
    try:
        async with opened.open() as provider:
            return await preview(
                provider, filters, recursive=recursive, first=0, limit=_SAMPLE_OBJECTS, seconds=_SAMPLE_SECONDS
            )
    except (RunError, TimeoutError):
        return None


def refuse_failed(kind: ProviderType, checks: Sequence[Check]) -> None:
    """Raises the provider's error when a check failed."""
    for check in checks:
        if check.status is CheckStatus.FAILED:
            error = FatalError(
                check.detail,
                code=check.code or ErrorCode.PROVIDER_UNAVAILABLE,
                provider_code=check.provider_code,
                hint=check.hint,
            )
            error.provider = kind.value
            raise error


def _revealed(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
