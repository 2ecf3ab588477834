"""What waits to be published: the newest state of each row, so that no slow or dead channel fills memory."""

from __future__ import annotations

from sluicegate.core.metrics import EVENTS_DROPPED
from sluicegate.events.messages import RESYNC, Kind, Message

MAX_MESSAGES = 10_000

_Slot = tuple[str, int, Kind]


class Outbox:
    """Messages in the order of their last change. A newer state replaces a waiting one; a last state is never replaced.

    At most `limit` wait. Beyond that all are dropped for one RESYNC, which makes every process read the rows instead.
    """

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self._limit = limit
        self._waiting: dict[_Slot, Message] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Adds a message, or leaves it out when a newer one of the same row waits."""
        slot = (message.topic, message.id, message.kind)
        waiting = self._waiting.get(slot)
        if waiting is not None:
            if waiting.revision > message.revision:
                return
            del self._waiting[slot]
        elif len(self._waiting) >= self._limit:
            EVENTS_DROPPED.labels("outgoing").inc(len(self._waiting) + 1)
            self._waiting.clear()
            self._waiting[RESYNC.topic, RESYNC.id, RESYNC.kind] = RESYNC
            return
        self._waiting[slot] = message

    def take(self) -> Message:
        """Removes and returns the first message. Raises StopIteration when there is none."""
        return self._waiting.pop(next(iter(self._waiting)))

    def put_back(self, message: Message) -> None:
        """Returns a message that could not be sent to the front, unless a newer one of its row came meanwhile."""
        slot = (message.topic, message.id, message.kind)
        if slot not in self._waiting:
            self._waiting = {slot: message, **self._waiting}
