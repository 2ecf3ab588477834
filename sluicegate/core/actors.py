"""Who does things, and what a key allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key allows. Each includes the ones before it: WRITE may read, ADMIN may do everything."""

    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"


_ORDER = list(Scope)


def with_included(scopes: Iterable[str]) -> frozenset[Scope]:
    """The scopes and all that they include. Raises ValueError for a name that is none."""
    highest = max((_ORDER.index(Scope(scope)) for scope in scopes), default=-1)
    return frozenset(_ORDER[: highest + 1])


def in_order(scopes: Iterable[Scope]) -> list[Scope]:
    """READ, WRITE, ADMIN: those that are there, in this order."""
    return sorted(scopes, key=_ORDER.index)


class ActorKind(StrEnum):
    """A key, or the gateway itself (a schedule, an event)."""

    API_KEY = "API_KEY"
    SYSTEM = "SYSTEM"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `id`: the row of the key; None for the gateway itself."""

    kind: ActorKind
    id: int | None
    name: str


SYSTEM = Actor(ActorKind.SYSTEM, None, "sluicegate")
"""The gateway itself."""
