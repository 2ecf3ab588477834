"""S3 and what speaks its protocol."""

from sluicegate.providers.s3.provider import open_provider
from sluicegate.providers.s3.settings import SECRETS, Settings, parse

__all__ = ["SECRETS", "Settings", "open_provider", "parse"]
