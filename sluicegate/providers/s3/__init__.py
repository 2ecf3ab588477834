"""S3 and what speaks its protocol."""

from sluicegate.providers.s3.provider import has_events, object_uri, open_provider
from sluicegate.providers.s3.settings import SECRETS, Settings, parse
from sluicegate.providers.s3.source_paths import display_path, source_range

__all__ = ["SECRETS", "Settings", "display_path", "has_events", "object_uri", "open_provider", "parse", "source_range"]
