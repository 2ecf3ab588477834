"""What every provider refuses in a public source path, and how it says so."""

from __future__ import annotations

from sluicegate.core.errors import InvalidError

MAX_PATH_BYTES = 1024


def check_source_path(source_path: str, hint: str) -> None:
    """Raises InvalidError for what no source path has, whatever the provider; `hint` shows what it looks like."""
    try:
        size = len(source_path.encode())
    except UnicodeEncodeError:
        raise bad_source_path("The source path has a lone surrogate.", hint) from None
    if size > MAX_PATH_BYTES:
        raise bad_source_path(f"The source path is {size:,} bytes long; {MAX_PATH_BYTES:,} are allowed.", hint)
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in source_path):
        raise bad_source_path("The source path has a control character.", hint)
    if ".." in source_path.split("/"):
        raise bad_source_path("The source path must not lead upwards with `..`.", hint)


def bad_source_path(message: str, hint: str) -> InvalidError:
    """The error of a source path."""
    return InvalidError(message, path=("sourcePath",), hint=hint)
