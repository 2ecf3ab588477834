"""Cursors: opaque, versioned, and bound to the list, filter and order that they were made under."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import orjson

from sluicegate.core.clock import from_micros, to_micros
from sluicegate.core.errors import InvalidError

_VERSION = 1
_MAX_LENGTH = 8_192
_MAX_INTEGER = 2**63 - 1
_MAX_MICROS = to_micros(datetime.max.replace(tzinfo=from_micros(0).tzinfo))


def order_digest(*parts: object) -> str:
    """A short name for one list under one filter and order. Parts are told apart by their `repr`."""
    return hashlib.sha256("\x1f".join(map(repr, parts)).encode("utf-8", "backslashreplace")).hexdigest()[:12]


def encode_cursor(digest: str, values: Sequence[Any]) -> str:
    """The cursor of the row that has these sort values."""
    plain = [to_micros(value) if isinstance(value, datetime) else value for value in values]
    return urlsafe_b64encode(orjson.dumps([_VERSION, digest, *plain])).decode().rstrip("=")


def decode_cursor(cursor: str, digest: str, kinds: Sequence[type], *, argument: str) -> list[Any]:
    """The sort values of a cursor, one of each kind (str, int, float, datetime) or None.

    Raises InvalidError for a cursor of another list, filter or order, and for text that is no cursor.
    """
    values = _parse(cursor)
    if values is None or len(values) < 2 or values[0] != _VERSION:
        raise InvalidError("This is not a cursor of this API.", path=(argument,))
    if values[1] != digest:
        raise InvalidError(
            "The cursor belongs to another list, filter or order: start again without it.", path=(argument,)
        )
    plain = values[2:]
    if len(plain) != len(kinds) or not all(map(_fits, plain, kinds)):
        raise InvalidError("This is not a cursor of this API.", path=(argument,))
    return [
        from_micros(value) if kind is datetime and value is not None else value
        for value, kind in zip(plain, kinds, strict=True)
    ]


def _parse(cursor: str) -> list[Any] | None:
    if len(cursor) > _MAX_LENGTH:
        return None
    try:
        values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        return None
    return cast("list[Any]", values) if isinstance(values, list) else None


def _fits(value: Any, kind: type) -> bool:
    if value is None:
        return True
    if kind is str:
        return isinstance(value, str) and "\x00" not in value
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return abs(value) <= (_MAX_MICROS if kind is datetime else _MAX_INTEGER)
