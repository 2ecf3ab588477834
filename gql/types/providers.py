"""What this installation can connect to."""

from __future__ import annotations

import strawberry

from gql.types.enums import Capability, MappingSource, ProviderType
from sluicegate.providers.registry import ProviderSpec


@strawberry.type(description="A kind of source that this installation knows, and what it can do.")
class Provider:
    """One provider of the registry."""

    type: ProviderType = strawberry.field(description="Which kind.")
    name: str = strawberry.field(description="For people.")
    available: bool = strawberry.field(description="Whether all that it needs is installed.")
    install_hint: str | None = strawberry.field(description="How to install what is missing; null when nothing is.")
    source_path_format: str = strawberry.field(description="How a path in such a source is written.")
    capabilities: list[Capability] = strawberry.field(description="What it can do beyond listing and reading.")
    mapping_sources: list[MappingSource] = strawberry.field(description="Where a mapping can take values from.")


def provider_of(spec: ProviderSpec) -> Provider:
    """The public form of a provider."""
    return Provider(
        type=spec.type,
        name=spec.name,
        available=spec.available,
        install_hint=spec.install_hint,
        source_path_format=spec.source_path_format,
        capabilities=[capability for capability in Capability if capability in spec.capabilities],
        mapping_sources=[source for source in MappingSource if source in spec.mapping_sources],
    )
