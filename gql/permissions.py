"""Which scope each root field asks for. A schema with a root field that declares none does not build."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isawaitable
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.types.base import get_object_definition

from sluicegate.core.actors import Scope
from sluicegate.core.errors import ForbiddenError

__all__ = ["Requires", "Scope", "UndeclaredScopeError", "check_every_root_field", "requires", "root_scopes"]


class UndeclaredScopeError(TypeError):
    """A root field says nothing about who may use it."""


class Requires(FieldExtension):
    """Refuses a root field to keys without `scope`. For queries, mutations and subscriptions."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def resolve(self, next_: Any, source: Any, info: strawberry.Info[Any, Any], **kwargs: Any) -> Any:
        """Checks, then calls the field."""
        self._check(info)
        return next_(source, info, **kwargs)

    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info[Any, Any], **kwargs: Any) -> Any:
        """Checks, then calls the field."""
        self._check(info)
        result = next_(source, info, **kwargs)
        # A subscription's generator is what its field gives; only the others are awaited.
        return await result if isawaitable(result) else result

    def _check(self, info: strawberry.Info[Any, Any]) -> None:
        if self.scope not in info.context.viewer.scopes:
            raise ForbiddenError(f"This needs a key with the scope {self.scope.value}.")


def requires(scope: Scope) -> list[FieldExtension]:
    """For `strawberry.field(extensions=requires(Scope.READ))`, also of mutations and subscriptions."""
    return [Requires(scope)]


def root_scopes(*roots: type | None) -> Iterator[tuple[str, Scope | None]]:
    """("Query.viewer", READ) and so on for every field of the root types; None where none is declared."""
    for root in roots:
        if root is None:
            continue
        definition = get_object_definition(root, strict=True)
        for root_field in definition.fields:
            found = [extension.scope for extension in root_field.extensions if isinstance(extension, Requires)]
            yield f"{definition.name}.{root_field.python_name}", found[0] if found else None


def check_every_root_field(*roots: type | None) -> None:
    """Raises UndeclaredScopeError when a root field declares no scope."""
    missing = [name for name, scope in root_scopes(*roots) if scope is None]
    if missing:
        raise UndeclaredScopeError(f"No scope is declared for {', '.join(missing)}: add extensions=requires(Scope.…).")
