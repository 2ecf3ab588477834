"""The public enums of dead letters and of lists that are watched, shown as the rows and the hub have them."""

from __future__ import annotations

from gql.types.enums import show
from models.dead_letters import DeadLetterStatus
from sluicegate.events import ChangeKind

__all__ = ["ChangeKind", "DeadLetterStatus"]

show(
    DeadLetterStatus,
    {
        "QUARANTINED": "It waits for a change of its source, or for someone to decide.",
        "REQUEUED": "Someone asked for another try, which has not come yet.",
        "RESOLVED": "A run took it after all, or found that it is gone or left out by a filter.",
        "DISCARDED": "Someone gave it up: it stays so however often it fails.",
    },
    description="Where a dead letter is.",
)
show(
    ChangeKind,
    {
        "SNAPSHOT": "In the list when the subscription began.",
        "SNAPSHOT_END": "All of those were sent: what follows are changes.",
        "CREATED": "New in the list: it is new, or meets the filter now.",
        "UPDATED": "It has changed.",
        "FINISHED": "It has changed for the last time.",
        "LEFT": "It has changed and meets the filter no longer.",
        "DELETED": "It is gone; `deletedId` says which.",
    },
    description="What a change of a list says. A slow reader gets the newest state of each item. The list remembers "
    "1,000 items: of those that were told of before them it does not say when they leave.",
)
