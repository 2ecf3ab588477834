"""Records that a sync could not take, and their list as it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import strawberry

from gql.context import Info
from gql.inputs.dead_letters import DeadLetterFilter, dead_letter_criteria
from gql.pagination import Connection, nested
from gql.types.list_enums import ChangeKind, DeadLetterStatus
from gql.types.node import Node, RowView, optional
from gql.types.storages import Storage, storage_of
from models import dead_letter_queries
from models.dead_letters import WHOLE_FILE
from models.pagination import PageRequest
from sluicegate.core.ids import encode_id
from sluicegate.core.text import text_of_key

if TYPE_CHECKING:
    from gql.types.sync_configs import SyncConfig
    from sluicegate.events import Change


@strawberry.type(description="A record that failed: it is tried again when its source changes, or when someone asks.")
class DeadLetter(RowView, Node):
    """A dead letter's row."""

    row_kind: ClassVar[str] = "DeadLetter"
    made: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "source_object_id": lambda row: text_of_key(row.source_key),
        "row_number": lambda row: None if row.row == WHOLE_FILE else row.row,
    }

    source_object_id: str = strawberry.field(
        description="The file's id in the source, e.g. the key; bytes that no text can hold are percent-encoded."
    )
    path: str = strawberry.field(description="Where the file is in the source.")
    row_number: int | None = strawberry.field(name="row", description="Which row of it, from 0; null: all of it.")
    error_type: str = strawberry.field(
        description="One of ErrorCode; or PARSE: it is not what its name says; or MAPPING: no object can be made of it."
    )
    message: str = strawberry.field(description="What was wrong the last time; never a secret.")
    attempts: int = strawberry.field(
        description="How often it was tried, over all runs: 4 times in a run where the fault may pass, else once."
    )
    first_seen_at: datetime = strawberry.field(description="When it first failed.")
    last_seen_at: datetime = strawberry.field(description="When it last failed.")
    status: DeadLetterStatus = strawberry.field(description="Where it is.")

    @strawberry.field(description="Whose run failed last; null: a storage's own sync.")
    async def sync_config(self, info: Info) -> Annotated[SyncConfig, strawberry.lazy("gql.types.sync_configs")] | None:
        """The configuration."""
        from gql.types.sync_configs import sync_config_of

        if self.row.sync_config_id is None:
            return None
        return optional(sync_config_of, await info.context.loaders.sync_configs.load(self.row.sync_config_id))

    @strawberry.field(description="Where it comes from; an archived storage too.")
    async def storage(self, info: Info) -> Storage:
        """The storage."""
        return storage_of(await info.context.loaders.storages.load(self.row.storage_id))


@strawberry.type(description="One change of a list of dead letters.")
class DeadLetterEvent:
    """A change."""

    kind: ChangeKind = strawberry.field(description="What happened.")
    dead_letter: DeadLetter | None = strawberry.field(description="As it is now; null for SNAPSHOT_END and DELETED.")
    deleted_id: strawberry.ID | None = strawberry.field(description="Of DELETED: which.")


def dead_letter_event(change: Change) -> DeadLetterEvent:
    """The public form of a change."""
    deleted = strawberry.ID(encode_id("DeadLetter", change.id)) if change.kind is ChangeKind.DELETED else None
    return DeadLetterEvent(kind=change.kind, dead_letter=optional(DeadLetter.of, change.state), deleted_id=deleted)


async def dead_letters_of_config(
    info: Info, config_id: int, first: int | None, after: str | None, filter: DeadLetterFilter | None
) -> Connection[DeadLetter]:
    """A page of a configuration's dead letters."""
    request, criteria = PageRequest(first, after), dead_letter_criteria(filter)
    return await nested(
        info.context.loaders,
        config_id,
        "syncConfig.deadLetters",
        (request, criteria),
        DeadLetter.of,
        partial(dead_letter_queries.dead_letters_of_configs, request=request, criteria=criteria),
        partial(dead_letter_queries.count_dead_letters_of_configs, criteria=criteria),
    )
