"""Settings of a storage as a caller gives them → a checked model, or the first problem with the way to its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from sluicegate.core.errors import InvalidError

Model = TypeVar("Model", bound=BaseModel)

_MESSAGES = {
    "missing": "This field is required.",
    "extra_forbidden": "This kind of storage has no such field.",
    "string_type": "This must be text.",
    "string_too_long": "This is longer than {max_length:,} characters.",
    "string_too_short": "This must not be empty.",
}


class StrictSettings(BaseModel):
    """Base of every provider's settings: no unknown fields, nothing converted, values never shown in errors."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def camel(name: str) -> str:
    """A field's name as in the public schema."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def parse_settings(model: type[Model], values: Mapping[str, Any], root: Sequence[str]) -> Model:
    """`values` as a `model`; None counts as not given. Raises InvalidError for the first problem, below `root`."""
    try:
        return model.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    raise InvalidError(_message(first), path=(*root, *(camel(str(part)) for part in first["loc"])))


def _message(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    if detail["type"] in _MESSAGES:
        return _MESSAGES[detail["type"]].format(**context)
    return f"{detail['msg']}."
