"""Ranges of source keys: what a run's source path covers."""

from __future__ import annotations

from typing import NamedTuple


class KeyRange(NamedTuple):
    """Keys with `low` <= key < `high`, by bytes; `high` None: to the end."""

    low: bytes = b""
    high: bytes | None = None

    @classmethod
    def of_prefix(cls, prefix: bytes) -> KeyRange:
        """The keys that start with `prefix`."""
        stem = prefix.rstrip(b"\xff")
        return cls(prefix, stem[:-1] + bytes([stem[-1] + 1]) if stem else None)

    def covers(self, key: bytes) -> bool:
        """Whether the key lies within."""
        return self.low <= key and (self.high is None or key < self.high)

    def meets(self, other: KeyRange) -> bool:
        """Whether some key lies in both."""
        return (self.high is None or other.low < self.high) and (other.high is None or self.low < other.high)


EVERYTHING = KeyRange()
