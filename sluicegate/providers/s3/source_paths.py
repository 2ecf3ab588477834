"""Public source paths of S3, `bucket` or `bucket/prefix`, and the keys that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluicegate.providers.source_paths import bad_source_path, check_source_path


def display_path(settings: Mapping[str, Any]) -> str:
    """A storage's own path as a source path, from its stored settings."""
    prefix = settings.get("prefix") or ""
    return f"{settings['bucket']}/{prefix}" if prefix else settings["bucket"]


def source_range(settings: Mapping[str, Any], source_path: str) -> bytes:
    """The start of the keys that a source path means, as text: `bucket/videos` also takes `videos-2/x`.

    Raises InvalidError for a path that is malformed, or not within the storage's own.
    """
    own = display_path(settings)
    hint = f"Give bucket/prefix; this storage is {own}, and the path must start with that."
    check_source_path(source_path, hint)
    bucket, _, prefix = source_path.partition("/")
    if bucket != settings["bucket"]:
        raise bad_source_path("The source path begins with another bucket than the storage's.", hint)
    if not prefix.startswith(settings.get("prefix") or ""):
        raise bad_source_path("The source path is outside of the storage's prefix.", hint)
    return prefix.encode()
