"""JSON in and out."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson


class BadJsonError(ValueError):
    """Not JSON (RFC 8259), not UTF-8, or nested too deeply to read."""


def _refuse(constant: str) -> NoReturn:
    raise BadJsonError(f"{constant} is not JSON")


# Not orjson: it reads integers beyond 64 bits as floats, and a JSON scalar must come out as it went in.
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def decode(body: bytes | str) -> Any:
    """The value of a JSON text. Raises BadJsonError."""
    try:
        return _DECODER.decode(body.decode() if isinstance(body, bytes) else body)
    except (ValueError, RecursionError):  # ValueError: bad JSON, bad UTF-8, an integer of thousands of digits
        raise BadJsonError("The body is not JSON.") from None


def encode(value: Any) -> bytes:
    """JSON of a response, as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:  # integers beyond 64 bits, which JSON has and orjson has not; lone surrogates
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def encode_text(value: Any) -> str:
    """JSON of a WebSocket message: text, since bytes would make it a binary frame, which the protocol refuses."""
    return encode(value).decode()
