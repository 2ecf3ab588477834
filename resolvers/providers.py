"""What this installation can connect to."""

from __future__ import annotations

from sluicegate.providers import registry
from sluicegate.providers.registry import ProviderSpec


def list_providers() -> list[ProviderSpec]:
    """Every kind of source that this version has, installed or not."""
    return registry.specs()
