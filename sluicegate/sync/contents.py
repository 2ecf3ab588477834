"""Which content the project has, as a run of one that skips duplicates goes over its objects in order."""

from __future__ import annotations

from collections.abc import Iterable

from models.catalogue import ObjectRow
from models.content_hashes import Holder

Identity = tuple[int, bytes, int]
"""(storage, key, row)."""


class Contents:
    """The holders of some contents. `held`: as the catalogue has them."""

    def __init__(self, held: Iterable[Holder]) -> None:
        self._holders: dict[str, set[Identity]] = {}
        self._held_by: dict[Identity, str] = {}
        for content, storage_id, key, row in held:
            identity = (storage_id, key, row)
            self._holders.setdefault(content, set()).add(identity)
            self._held_by[identity] = content

    def taken(self, row: ObjectRow, content: str) -> bool:
        """Whether another object has this content."""
        return bool(self._holders.get(content, set[Identity]()) - {identity_of(row)})

    def stays_taken(self, row: ObjectRow, content: str, changing: set[Identity]) -> bool:
        """Whether it is so whatever becomes of the objects that are about to change."""
        return bool(self._holders.get(content, set[Identity]()) - {identity_of(row)} - changing)

    def take(self, row: ObjectRow, content: str) -> None:
        """The object has this content now; what it had before nobody need have any more."""
        identity = identity_of(row)
        before = self._held_by.get(identity)
        if before is not None:
            self._holders[before].discard(identity)
        self._holders.setdefault(content, set()).add(identity)
        self._held_by[identity] = content


def identity_of(row: ObjectRow) -> Identity:
    """What makes an object the same."""
    return row[2], row[3], row[4]
