"""JSON as both of its readers take it: the standard library's decoder, so that integers keep all their digits."""

from __future__ import annotations

import json
from typing import NoReturn


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def reason(error: ValueError) -> str:
    """What is wrong with the JSON of a line or a value, for people."""
    if isinstance(error, json.JSONDecodeError):
        return f"Not JSON at character {error.pos + 1:,} of the line: {error.msg}."
    return f"Not JSON: {error}."
