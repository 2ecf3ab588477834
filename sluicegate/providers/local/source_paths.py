"""Public source paths of LOCAL: folders below the namespace's root, and the keys in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sluicegate.providers.source_paths import bad_source_path, check_source_path


def display_path(settings: Mapping[str, Any]) -> str:
    """A storage's own path as a source path, from its stored settings; empty for the namespace's whole folder."""
    return settings["path"]


def source_range(settings: Mapping[str, Any], source_path: str) -> bytes:
    """The start of the keys in a folder: nothing for the storage's own, else `sub/dir/`.

    Raises InvalidError for a path that is malformed, or not within the storage's own.
    """
    own = _parts(display_path(settings))
    place = f"this storage is {'/'.join(own)}, and the path must be that or below it" if own else "empty means all"
    hint = f"Give a folder/path below the namespace's folder, without a leading slash; {place}."
    check_source_path(source_path, hint)
    parts = _parts(source_path)
    if source_path.startswith("/") or parts[: len(own)] != own:
        raise bad_source_path("The source path is outside of the storage's folder.", hint)
    return b"".join(os.fsencode(part) + b"/" for part in parts[len(own) :])


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
