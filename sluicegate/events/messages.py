"""What travels over the channel: a short header to route by, and the whole state as JSON.

Format: `topic:id:revision:kind:json`. Without the JSON, a state says only that the row has changed. A process in which
nobody watches `topic:id` reads the header alone. It is text and not bytes because PostgreSQL's NOTIFY carries text.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

StateT = TypeVar("StateT")
"""What subscribers see of one row at one moment: the row itself, detached from its session and never changed again.

It has an `id` and a `revision` that orders the row's states: one that is not above what was seen is old.
"""


@dataclass(frozen=True, slots=True)
class Topic(Generic[StateT]):
    """A kind of row that can be watched.

    `encode` and `decode`: to JSON values and back. `read`: the row of an id whatever its namespace (whoever watches has
    checked it), None when it is deleted. `finished`: whether a state is the row's last; None: rows of it never finish.
    """

    name: str
    encode: Callable[[StateT], dict[str, Any]]
    decode: Callable[[dict[str, Any]], StateT]
    read: Callable[[int], Awaitable[StateT | None]]
    finished: Callable[[StateT], bool] | None = None

    def is_last(self, state: StateT) -> bool:
        """Whether nothing follows this state."""
        return self.finished is not None and self.finished(state)


class Kind(StrEnum):
    """What a message says."""

    STATE = "s"
    LAST = "f"
    DELETED = "d"
    RESYNC = "r"
    ECHO = "e"


class Message(NamedTuple):
    """A parsed header and the body that is not parsed yet."""

    topic: str
    id: int
    revision: int
    kind: Kind
    body: str

    def encoded(self) -> str:
        """The message as the channel carries it."""
        return f"{self.topic}:{self.id}:{self.revision}:{self.kind}:{self.body}"


RESYNC = Message("*", 0, 0, Kind.RESYNC, "")
"""Says that messages were lost: every process reads the rows that it watches again."""


def parse(text: str) -> Message:
    """The message of a text. Raises ValueError when it is none, for example one of a version to come."""
    topic, number, revision, kind, body = text.split(":", 4)
    return Message(topic, int(number), int(revision), Kind(kind), body)


def without_body(text: str) -> str:
    """The message without its state, for a channel that cannot carry it: who watches the row reads it instead.

    A text that is no message becomes RESYNC.
    """
    parts = text.split(":", 4)
    return ":".join((*parts[:4], "")) if len(parts) == 5 else RESYNC.encoded()


def dumps(values: dict[str, Any]) -> str:
    """JSON of a state. Raises TypeError or ValueError for what JSON has no form for."""
    try:
        return orjson.dumps(values).decode()
    except TypeError:  # an integer beyond 64 bits or a lone surrogate, which the standard library writes
        return json.dumps(values, separators=(",", ":"))


class Update(Generic[StateT]):
    """One state as watchers hold it: decoded when the first of them is asked for it, once for all of them."""

    __slots__ = ("_decode", "_held", "last", "revision")

    def __init__(
        self, revision: int, held: str | StateT, *, last: bool, decode: Callable[[dict[str, Any]], StateT]
    ) -> None:
        self.revision = revision
        self.last = last
        self._held = held
        self._decode = decode

    def state(self) -> StateT:
        """The state. Raises ValueError, TypeError, KeyError or AttributeError when the message cannot be decoded."""
        held = self._held
        if isinstance(held, str):
            held = self._held = self._decode(json.loads(held))
        return held
