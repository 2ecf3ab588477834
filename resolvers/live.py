"""What can be watched: the rows of the catalogue as topics of the event hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from models.base import Base
from models.database import ALL, Database
from models.dead_letters import DeadLetter
from models.jobs import Job
from models.storages import Storage
from models.sync_configs import SyncConfig
from models.wire import from_wire, to_wire
from sluicegate.events import Topic

JOB = "job"
STORAGE = "storage"
SYNC_CONFIG = "syncConfig"
DEAD_LETTER = "deadLetter"

RowT = TypeVar("RowT", bound=Base)


def topics(database: Database) -> list[Topic[Any]]:
    """The topics of `Hub`: `job` ends with its finished state, the others when their row is deleted."""
    job: Topic[Job] = Topic(JOB, to_wire, partial(from_wire, Job), _reader(database, Job), lambda state: state.finished)
    storage: Topic[Storage] = Topic(STORAGE, to_wire, partial(from_wire, Storage), _reader(database, Storage))
    config: Topic[SyncConfig] = Topic(
        SYNC_CONFIG, to_wire, partial(from_wire, SyncConfig), _reader(database, SyncConfig)
    )
    letter: Topic[DeadLetter] = Topic(
        DEAD_LETTER, to_wire, partial(from_wire, DeadLetter), _reader(database, DeadLetter)
    )
    return [job, storage, config, letter]


def _reader(database: Database, cls: type[RowT]) -> Callable[[int], Awaitable[RowT | None]]:
    async def read(number: int) -> RowT | None:
        async with database.read(ALL) as session:
            return await session.get(cls, number)

    return read
