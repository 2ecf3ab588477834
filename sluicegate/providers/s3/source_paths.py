"""Public source paths of S3, `bucket` or `bucket/folder`, and the keys that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluicegate.providers.source_paths import bad_source_path, check_source_path


def display_path(settings: Mapping[str, Any]) -> str:
    """A storage's own path as a source path, from its stored settings."""
    prefix = settings.get("prefix") or ""
    return f"{settings['bucket']}/{prefix}" if prefix else settings["bucket"]


def source_range(settings: Mapping[str, Any], source_path: str) -> bytes:
    """What the keys of a source path start with: `bucket/videos` is the folder `videos/`, never `videos-2/x`.

    A `*` at the end makes it text: `bucket/videos*` takes both. So is the storage's own prefix, as it is.
    Raises InvalidError for a path that is malformed, or not within the storage's own.
    """
    own = display_path(settings)
    hint = f"Give bucket/folder, or bucket/text* for names that start so; this storage is {own}, which must come first."
    check_source_path(source_path, hint)
    bucket, _, path = source_path.partition("/")
    own_prefix: str = settings.get("prefix") or ""
    if bucket != settings["bucket"]:
        raise bad_source_path("The source path begins with another bucket than the storage's.", hint)
    prefix = path.removesuffix("*") if path.endswith("*") or path in ("", own_prefix) else f"{path.removesuffix('/')}/"
    if not prefix.startswith(own_prefix):
        raise bad_source_path("The source path is outside of the storage's prefix.", hint)
    return prefix.encode()
