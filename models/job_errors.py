"""A job's error as both databases can hold it."""

from __future__ import annotations

from typing import Any

MAX_TEXT = 2000
MAX_CAUSES = 10


def storable_error(error: dict[str, Any] | None) -> dict[str, Any]:
    """The columns `error` and `error_message` of {type, message, providerCode, hint, causes}.

    A provider's words may hold what a database refuses (NUL, lone surrogates) or go on for ever: both are cut here, so
    that a failure can always be written down.
    """
    if error is None:
        return {"error": None, "error_message": None}
    kept: dict[str, Any] = {
        "type": storable_text(error.get("type")) or "InternalError",
        "message": storable_text(error.get("message")) or "",
        "providerCode": storable_text(error.get("providerCode")),
        "hint": storable_text(error.get("hint")),
    }
    causes = [storable_text(cause) for cause in error.get("causes", ())][:MAX_CAUSES]
    if causes:
        kept["causes"] = causes
    return {"error": kept, "error_message": kept["message"]}


def storable_text(value: object) -> str | None:
    """The text without NUL and lone surrogates (U+FFFD stands for them), at most 2,000 characters; None stays None."""
    if value is None:
        return None
    text = str(value)[:MAX_TEXT].replace("\x00", "\ufffd")
    return text.encode("utf-8", "replace").decode()
