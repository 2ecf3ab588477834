"""Which form of answer a request accepts (RFC 9110, section 12.5.1; GraphQL over HTTP, section 6)."""

from __future__ import annotations

from functools import lru_cache

GRAPHQL = "application/graphql-response+json"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
HTML = "text/html"

_OFFERED = {GRAPHQL, JSON, EVENT_STREAM, HTML}
_WILDCARDS = {"*/*", "application/*"}

LONGEST_HEADER = 1_024
"""Characters. A longer one is refused: what is remembered below is what anybody sends, with a key or without."""


def accepted(header: str | None) -> str | None:
    """The form that the header prefers, of equals the one named first; `application/json` where anything goes.

    None where it accepts nothing that we have: 406.
    """
    if header is None or not header.strip():
        return JSON
    return _accepted(header) if len(header) <= LONGEST_HEADER else None


def is_json(content_type: str | None) -> bool:
    """Whether a request body is JSON in UTF-8. No form that a page can post without asking (CORS) is."""
    return content_type is not None and len(content_type) <= LONGEST_HEADER and _is_json(content_type)


@lru_cache(maxsize=256)
def _accepted(header: str) -> str | None:
    best: str | None = None
    best_quality = 0.0
    for part in header.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        offered = JSON if media_type in _WILDCARDS else media_type if media_type in _OFFERED else None
        quality = _quality(parameters)
        if offered is not None and quality > best_quality:
            best, best_quality = offered, quality
    return best


@lru_cache(maxsize=256)
def _is_json(content_type: str) -> bool:
    media_type, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    charsets = [
        value.strip('"') for name, _, value in (each.partition("=") for each in parameters) if name == "charset"
    ]
    return media_type == JSON and all(charset in {"utf-8", "utf8"} for charset in charsets)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
