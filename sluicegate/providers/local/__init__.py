"""A folder of the gateway's machine."""

from sluicegate.providers.local.provider import object_uri, open_provider
from sluicegate.providers.local.settings import SECRETS, Settings, parse

__all__ = ["SECRETS", "Settings", "object_uri", "open_provider", "parse"]
