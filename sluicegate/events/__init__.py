"""Live events: a hub that routes states from one broadcast channel to bounded watchers.

The database is the truth and an event only a hint: what is lost on the way is read again, never replayed.
"""

from sluicegate.events.channel import Channel, open_channel
from sluicegate.events.hub import Hub
from sluicegate.events.lists import Change, ChangeKind, ListSource, ListWatch
from sluicegate.events.messages import Topic
from sluicegate.events.watch import End, Watch

__all__ = [
    "Change", "ChangeKind", "Channel", "End", "Hub", "ListSource", "ListWatch", "Topic", "Watch", "open_channel",
]  # fmt: skip
