"""S3 and what speaks its protocol."""

from sluicegate.providers.s3.provider import object_uri, open_provider
from sluicegate.providers.s3.settings import SECRETS, Settings, parse

__all__ = ["SECRETS", "Settings", "object_uri", "open_provider", "parse"]
