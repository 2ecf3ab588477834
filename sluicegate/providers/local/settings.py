"""The settings of a LOCAL storage, and which folder of the machine they mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from sluicegate.core.errors import InvalidError
from sluicegate.providers.base import ProviderContext
from sluicegate.providers.parsing import StrictSettings, parse_settings

ROOT = ("provider", "local")
SECRETS: frozenset[str] = frozenset()
MAX_PATH_BYTES = 4096


class Settings(StrictSettings):
    """A folder below the namespace's root, with `/` between its parts; empty: the root itself."""

    path: str

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        if value.startswith("/"):
            raise ValueError("Give the folder's path below the folder of this namespace, without a leading slash.")
        parts = [part for part in value.split("/") if part not in ("", ".")]
        if ".." in parts or "\x00" in value:
            raise ValueError("The path must not contain .. or NUL.")
        try:
            size = len(os.fsencode(value))
        except UnicodeEncodeError:
            raise ValueError("The path has a character that no file name has.") from None
        if size > MAX_PATH_BYTES:
            raise ValueError(f"The path is longer than {MAX_PATH_BYTES:,} bytes.")
        return "/".join(parts)


def parse(values: Mapping[str, Any], *, context: ProviderContext) -> Settings:
    """Checked settings. Raises InvalidError for the first problem."""
    settings = parse_settings(Settings, values, ROOT)
    root_of(context)
    return settings


def root_of(context: ProviderContext) -> bytes:
    """The real path of the namespace's folder. Raises InvalidError without one, and beside the data directory."""
    configured = context.local_roots.get(context.namespace)
    if configured is None:
        raise InvalidError(
            "This namespace has no folder on the gateway's machine.",
            path=(*ROOT, "path"),
            hint=f"The operator adds {context.namespace}=/its/folder to SLUICEGATE_LOCAL_ROOTS.",
        )
    root = os.path.realpath(os.fsencode(configured))
    if context.data_dir:
        data = os.path.realpath(os.fsencode(context.data_dir))
        if _inside(data, root) or _inside(root, data):
            raise InvalidError(
                "The folder of this namespace and the gateway's own data directory overlap, so it is not read.",
                path=(*ROOT, "path"),
                hint="The operator moves one of SLUICEGATE_LOCAL_ROOTS and SLUICEGATE_DATA_DIR.",
            )
    return root


def _inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
