"""A folder of the gateway's machine."""

from sluicegate.providers.local.provider import open_provider
from sluicegate.providers.local.settings import SECRETS, Settings, parse

__all__ = ["SECRETS", "Settings", "open_provider", "parse"]
