"""Where a run is, as its checkpoint keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sluicegate.providers.base import Entry

_VERSION = 2


@dataclass(slots=True)
class Partial:
    """A large file that the last commit was in the middle of: `rows` are done, `before` the counters at its start.

    `again`: some of them failed for a passing reason, so that it is to be read again.
    """

    key: bytes
    fingerprint: str
    rows: int
    bad: int
    before: dict[str, Any]
    again: bool = False

    def is_of(self, entry: Entry) -> bool:
        """Whether the file still is what it was."""
        return self.key == entry.key and self.fingerprint == entry.fingerprint


@dataclass(slots=True)
class Position:
    """Where a run goes on.

    `prefix`: what the listing is asked for. `cursor`: of the listing before the page at hand; `after`: the last key
    that is through. `limited`: the run ended there, as `max_objects` says; the next one of the plan goes on. `since`:
    when the listing began, in ISO 8601; "": not known.
    """

    prefix: bytes = b""
    cursor: dict[str, Any] | None = None
    after: bytes = b""
    listed: bool = False
    limited: bool = False
    since: str = ""
    partial: Partial | None = None

    def to_json(self, plan_digest: str, counters: dict[str, Any]) -> dict[str, Any]:
        """The checkpoint's state, with the run's counters."""
        partial = self.partial
        return {
            "v": _VERSION, "plan": plan_digest, "prefix": self.prefix.hex(), "cursor": self.cursor,
            "after": self.after.hex(), "listed": self.listed, "limited": self.limited,
            "since": self.since,
            "partial": partial and {
                "key": partial.key.hex(), "fingerprint": partial.fingerprint, "rows": partial.rows, "bad": partial.bad,
                "before": partial.before, "again": partial.again,
            },
            "progress": counters,
        }  # fmt: skip

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Position:
        """The position that `to_json` wrote."""
        position = cls(
            prefix=bytes.fromhex(state["prefix"]), cursor=state["cursor"], after=bytes.fromhex(state["after"]),
            listed=state["listed"], limited=state["limited"], since=state.get("since", ""),
        )  # fmt: skip
        saved = state["partial"]
        if saved is not None:
            position.partial = Partial(
                bytes.fromhex(saved["key"]), saved["fingerprint"], saved["rows"], saved["bad"], saved["before"],
                saved["again"],
            )  # fmt: skip
        return position


def usable(state: dict[str, Any] | None, plan_digest: str) -> bool:
    """Whether a run of the plan can go on from a checkpoint: not one that an earlier version wrote."""
    return state is not None and state["v"] == _VERSION and state["plan"] == plan_digest
