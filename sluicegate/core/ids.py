"""Opaque global ids: base64url of `Kind:number`, one kind per type or interface (`Storage`, not `S3Storage`)."""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from sluicegate.core.errors import NotFoundError

_MAX_NUMBER = 2**63 - 1
_MAX_LENGTH = 64


def encode_id(kind: str, number: int) -> str:
    """The global id of row `number` of `kind`."""
    return urlsafe_b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def split_id(value: str) -> tuple[str, int] | None:
    """(kind, number) of a global id, or None where it is not one."""
    if not value or len(value) > _MAX_LENGTH:
        return None
    try:
        text = urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("ascii")
    except (ValueError, binascii.Error, UnicodeDecodeError):
        return None
    kind, separator, digits = text.partition(":")
    if not separator or not digits.isascii() or not digits.isdigit():
        return None
    number = int(digits)
    if number > _MAX_NUMBER or encode_id(kind, number) != value.rstrip("="):
        return None
    return kind, number


def decode_id(value: str, kind: str, *, path: tuple[str, ...] = ("id",)) -> int:
    """The row number of a global id of `kind`. Raises NotFoundError for anything else, another kind too."""
    found = split_id(value)
    if found is None or found[0] != kind:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
        raise NotFoundError(f"No {words} has the id {value[:_MAX_LENGTH]!r}.", path=path)
    return found[1]
