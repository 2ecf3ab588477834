"""What works but will surprise."""

from __future__ import annotations

import strawberry

from resolvers.warnings import Notice as Found


@strawberry.type(
    name="Warning",
    description="Something that works but will surprise: an overlap, a missing CORS rule, an empty prefix.",
)
class Notice:
    """A warning of a payload."""

    code: str = strawberry.field(
        description="OVERLAP, EMPTY, EMPTY_PREFIX, NOTHING_IMPORTED, or the step of the validation that warns: LIST, "
        "CORS."
    )
    message: str = strawberry.field(description="For people.")
    path: list[str] = strawberry.field(description="Where in the input.")


def warning_of(found: Found) -> Notice:
    """The public form of a warning."""
    return Notice(code=found.code, message=found.message, path=list(found.path))
