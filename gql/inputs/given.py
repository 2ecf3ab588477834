"""What a caller gave of an input, and what was left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any, cast

from strawberry import UNSET, Some


def given_fields(value: Any, *, besides: Collection[str] = ()) -> dict[str, Any]:
    """The fields of an input that were given; null, where it means something (`Maybe`), is None."""
    found: dict[str, Any] = {}
    for field in fields(value):
        item: Some[Any] | Any = getattr(value, field.name)
        if field.name in besides or item is None or item is UNSET:
            continue
        found[field.name] = cast("Some[Any]", item).value if isinstance(item, Some) else item
    return found
