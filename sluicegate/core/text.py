r"""What both databases can hold.

PostgreSQL refuses NUL in text and \u0000, NaN and Infinity in jsonb; lone surrogates break both drivers. SQLite takes
some of these. The same value must be refused by both, so these checks stand before every write of outside data.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

from sluicegate.core.errors import ErrorCode, SkippableError

MAX_JSON_DEPTH = 64


def clean_text(value: str, what: str = "text") -> str:
    """`value` unchanged when both databases can hold it. Raises SkippableError otherwise."""
    if "\x00" in value:
        raise SkippableError(f"The {what} contains a NUL character, which cannot be stored.", code=ErrorCode.INVALID)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SkippableError(
            f"The {what} contains a lone surrogate (at character {error.start}), which cannot be stored.",
            code=ErrorCode.INVALID,
        ) from None
    return value


def clean_json(value: Any, what: str = "record", depth: int = 0) -> Any:
    """`value` unchanged when both databases can hold it as JSON. Raises SkippableError otherwise."""
    if isinstance(value, str):
        clean_text(value, what)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise SkippableError(f"The {what} contains {value}, which JSON has no number for.", code=ErrorCode.INVALID)
    elif isinstance(value, dict):
        _check_depth(depth, what)
        for key, item in cast("dict[str, Any]", value).items():
            clean_text(key, what)
            clean_json(item, what, depth + 1)
    elif isinstance(value, list):
        _check_depth(depth, what)
        for item in cast("list[Any]", value):
            clean_json(item, what, depth + 1)
    return cast("Any", value)


def json_text(value: Any, what: str = "record") -> str:
    """`value` as compact JSON text that both databases can hold. Raises SkippableError otherwise.

    The checks of `clean_json` at the encoder's speed: it refuses NaN itself, and only text that shows an escaped NUL is
    walked to tell a NUL from the six characters backslash-u0000.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        clean_json(value, what)
        raise SkippableError(f"The {what} cannot be written as JSON.", code=ErrorCode.INVALID) from None
    if "\\u0000" in text:
        clean_json(value, what)
    elif text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_levels(value, what)
    return text


def _check_levels(value: Any, what: str) -> None:
    """`_check_depth` for all of it, a level at a time: ten times as fast as a walk."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_JSON_DEPTH):
        items: list[Any] = [item.values() if isinstance(item, dict) else item for item in level]
        level = [child for children in items for child in children if isinstance(child, dict | list)]
        if not level:
            return
    _check_depth(MAX_JSON_DEPTH, what)


def _check_depth(depth: int, what: str) -> None:
    if depth >= MAX_JSON_DEPTH:
        raise SkippableError(f"The {what} is nested deeper than {MAX_JSON_DEPTH} levels.", code=ErrorCode.INVALID)


def text_of_key(key: bytes) -> str:
    """A source key as text: UTF-8 where it is that; else the bytes text cannot hold, and `%`, percent-encoded."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        pass
    else:
        if "\x00" not in text:
            return text
    parts: list[str] = []
    for char in key.decode("utf-8", "surrogateescape"):
        point = ord(char)
        if 0xDC80 <= point <= 0xDCFF:
            parts.append(f"%{point - 0xDC00:02X}")
        elif char in "\x00%":
            parts.append(f"%{point:02X}")
        else:
            parts.append(char)
    return "".join(parts)
