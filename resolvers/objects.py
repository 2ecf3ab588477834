"""Objects of a dataset: where they came from. Links to them are `resolvers.content`."""

from __future__ import annotations

from models.objects import SyncedObject
from models.storages import Storage
from sluicegate.providers import registry
from sluicegate.providers.base import ProviderType


def object_uri(storage: Storage, row: SyncedObject) -> str:
    """The stable address of an object in its source, of an archived storage too."""
    return registry.spec(ProviderType(storage.type)).load().object_uri(storage.settings, row.source_key)
