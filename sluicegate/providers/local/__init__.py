"""A folder of the gateway's machine."""

from sluicegate.providers.local.provider import has_events, object_uri, open_provider
from sluicegate.providers.local.settings import SECRETS, Settings, parse
from sluicegate.providers.local.source_paths import display_path, source_range

__all__ = ["SECRETS", "Settings", "display_path", "has_events", "object_uri", "open_provider", "parse", "source_range"]
