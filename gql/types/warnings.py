"""What works but will surprise."""

from __future__ import annotations

import strawberry

from resolvers.warnings import Warning as Found


@strawberry.type(description="Something that works but will surprise: an overlap, a missing CORS rule, an empty prefix.")
class Warning:  # noqa: A001 - the public name
    """A warning of a payload."""

    code: str = strawberry.field(description="What kind of warning it is, e.g. OVERLAP.")
    message: str = strawberry.field(description="For people.")
    path: list[str] = strawberry.field(description="Where in the input.")


def warning_of(found: Found) -> Warning:
    """The public form of a warning."""
    return Warning(code=found.code, message=found.message, path=list(found.path))
