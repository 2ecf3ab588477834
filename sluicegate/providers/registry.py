"""The providers there are. Adding one: its package, its name in `ProviderType`, and one line here.

A provider's package is imported only when it is used, so that what it needs can be an extra of the installation.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from pydantic import BaseModel

from sluicegate.core.errors import ErrorCode, FatalError, NotFoundError
from sluicegate.providers.base import Capability, MappingSource, Provider, ProviderContext, ProviderType

_PATH_SOURCES = frozenset(
    {MappingSource.FILE, MappingSource.FILENAME_REGEX, MappingSource.FOLDER_PATH, MappingSource.CONSTANT}
)


class ProviderPackage(Protocol):
    """What every provider's package exposes."""

    Settings: type[BaseModel]
    SECRETS: frozenset[str]

    def parse(self, values: Mapping[str, Any], *, context: ProviderContext) -> BaseModel:
        """Checked settings. Raises InvalidError for the first problem."""
        ...

    def object_uri(self, settings: Mapping[str, Any], key: bytes) -> str:
        """An object's stable address, as `Provider.uri`, from the stored settings alone: for archived storages too."""
        ...

    def source_range(self, settings: Mapping[str, Any], source_path: str) -> bytes:
        """The literal start of the keys that a public source path means, from the stored settings alone.

        Raises InvalidError (path `sourcePath`) for one that is malformed, or not within the storage's own path.
        """
        ...

    def display_path(self, settings: Mapping[str, Any]) -> str:
        """The storage's own path, as a source path that means all of it."""
        ...

    def has_events(self, settings: Mapping[str, Any]) -> bool:
        """Whether `Provider.events` gives anything for a storage with these stored settings."""
        ...

    def open_provider(self, settings: BaseModel, context: ProviderContext) -> AbstractAsyncContextManager[Provider]:
        """The storage, open. Raises RunError."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One kind of storage. `extra`: of the installation, where it needs one; `needs`: the modules that this brings."""

    type: ProviderType
    name: str
    module: str
    source_path_format: str
    capabilities: frozenset[Capability]
    mapping_sources: frozenset[MappingSource] = _PATH_SOURCES
    extra: str | None = None
    needs: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        """Whether all that it needs is installed."""
        return all(find_spec(name) is not None for name in self.needs)

    @property
    def install_hint(self) -> str | None:
        """How to install what is missing; None when nothing is."""
        if self.available:
            return None
        return f"pip install 'sluicegate[{self.extra}]'"

    def load(self) -> ProviderPackage:
        """The provider's package. Raises FatalError with the install hint when something is missing."""
        if not self.available:
            raise FatalError(
                f"{self.name} is not installed on this gateway.",
                code=ErrorCode.PROVIDER_UNAVAILABLE,
                provider_code="NOT_INSTALLED",
                hint=self.install_hint,
            )
        return cast("ProviderPackage", import_module(self.module))


_S3 = frozenset(
    {
        Capability.TAGS,
        Capability.METADATA,
        Capability.EVENTS,
        Capability.TEMPORARY_URL,
        Capability.CONTENT_HASH,
        Capability.WRITE,
        Capability.ASSUME_ROLE,
    }
)
_S3_SOURCES = _PATH_SOURCES | {MappingSource.TAG, MappingSource.METADATA}
_SPECS = {
    spec.type: spec
    for spec in (
        ProviderSpec(
            ProviderType.S3, "Amazon S3 and compatible", "sluicegate.providers.s3", "bucket/folder", _S3, _S3_SOURCES
        ),
        ProviderSpec(ProviderType.LOCAL, "Local folder", "sluicegate.providers.local", "folder/path", frozenset()),
    )
}


def specs() -> list[ProviderSpec]:
    """All kinds that this version has, in the order of the enum."""
    return [_SPECS[kind] for kind in ProviderType if kind in _SPECS]


def spec(kind: ProviderType) -> ProviderSpec:
    """One kind. Raises NotFoundError when this version does not have it."""
    try:
        return _SPECS[kind]
    except KeyError:
        raise NotFoundError(f"This version has no storages of the type {kind.value}.", path=("provider",)) from None
