"""Dead letters: listed, tried again and given up, singly or by filter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from models import config_transitions, dead_letter_queries, storage_queries
from models.config_transitions import ENDED, ConfigEvent
from models.database import AsyncSession, after_commit
from models.dead_letter_queries import MAX_NOTED, DeadLetterCriteria, Source
from models.dead_letters import DeadLetter, DeadLetterStatus
from models.job_configs import SYNC_CONFIG
from models.jobs import Job, JobTrigger
from models.pagination import Page, PageRequest
from models.ranges import EVERYTHING, KeyRange
from models.sync_config_queries import run_unicity
from models.sync_configs import RUNNABLE, SyncConfigStatus
from resolvers import checks
from resolvers.access import Viewer
from resolvers.jobs import SYNC_STORAGE
from resolvers.live import DEAD_LETTER
from resolvers.services import Services
from sluicegate.core.errors import AlreadyRunningError, InvalidError, NotFoundError
from sluicegate.core.ids import decode_id

MAX_SHOWN = 100
"""So many changed letters of one transaction are shown to subscribers singly; of more, their lists are read anew."""

_OPEN = (DeadLetterStatus.QUARANTINED, DeadLetterStatus.REQUEUED)
_STARTS = RUNNABLE | ENDED


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters a request means: these, or all that meet a filter."""

    ids: tuple[int, ...] | None
    criteria: DeadLetterCriteria

    @property
    def names_discarded(self) -> bool:
        """Whether those that were given up are meant too."""
        return self.ids is not None or DeadLetterStatus.DISCARDED in (self.criteria.status or ())


@dataclass(slots=True)
class Decided:
    """`count` letters were changed; `jobs` look at them: new ones, or those that were under way."""

    count: int = 0
    jobs: list[Job] = field(default_factory=list[Job])


def choice(ids: Sequence[str] | None, criteria: DeadLetterCriteria | None) -> Choice:
    """What a request means. Raises InvalidError unless exactly one is given, NotFoundError for an id of nothing."""
    if (ids is None) == (criteria is None):
        raise InvalidError("Give ids or filter, one of them.", path=("ids",))
    if ids is None:
        return Choice(None, criteria or DeadLetterCriteria())
    given = checks.check_list(ids, ("ids",))
    numbers = [decode_id(value, "DeadLetter", path=("ids", str(place))) for place, value in enumerate(given)]
    return Choice(tuple(dict.fromkeys(numbers)), DeadLetterCriteria())


async def list_dead_letters(
    services: Services, viewer: Viewer, request: PageRequest, *, criteria: DeadLetterCriteria
) -> Page[DeadLetter]:
    """A page of the namespace's dead letters."""
    async with services.database.read(viewer.namespace.id) as session:
        return await dead_letter_queries.list_dead_letters(session, request, criteria=criteria)


async def count_dead_letters(services: Services, viewer: Viewer, criteria: DeadLetterCriteria) -> int | None:
    """How many dead letters the namespace has."""
    async with services.database.read(viewer.namespace.id) as session:
        return await dead_letter_queries.count_dead_letters(session, criteria)


async def discard(services: Services, viewer: Viewer, chosen: Choice) -> Decided:
    """Gives letters up: however often these records fail again, nobody is to decide about them. Raises NotFoundError.

    Those that are settled or given up already stay as they are.
    """
    decided = Decided()
    await _check_ids(services, viewer, chosen)
    last, upto = 0, await _newest(services, viewer)
    while True:
        async with services.database.write(viewer.namespace.id) as session:
            rows = await dead_letter_queries.take_piece(
                session, chosen.criteria, ids=chosen.ids, statuses=_OPEN, after=last, upto=upto
            )
            await _set_status(services, session, rows, DeadLetterStatus.DISCARDED)
        decided.count += len(rows)
        if not rows:
            return decided
        last = rows[-1].id


async def retry(services: Services, viewer: Viewer, chosen: Choice) -> Decided:
    """Has letters looked at again: marks them, notes their keys and starts a run for each configuration and storage.

    Where a run waits or is under way already, that is the job: what it does not come to, the next one does. A
    configuration that is paused, suspended or a draft starts none: its next run looks at them. Letters of archived
    ones are left as they are. Raises NotFoundError.
    """
    decided = Decided()
    await _check_ids(services, viewer, chosen)
    last, upto = 0, await _newest(services, viewer)
    statuses = (*_OPEN, DeadLetterStatus.DISCARDED) if chosen.names_discarded else _OPEN
    noted: dict[Source, int] = {}
    alive: dict[Source, bool] = {}
    while True:
        async with services.database.write(viewer.namespace.id) as session:
            rows = await dead_letter_queries.take_piece(
                session, chosen.criteria, ids=chosen.ids, statuses=statuses, after=last, upto=upto
            )
            for source in {Source.of(row) for row in rows} - alive.keys():
                alive[source] = await dead_letter_queries.can_run(session, source)
            tried = [row for row in rows if alive[Source.of(row)]]
            await _requeue(services, session, tried, noted)
        decided.count += len(tried)
        if not rows:
            break
        last = rows[-1].id
    for source, keys in noted.items():
        job = await _start(services, viewer, source, only_keys=keys <= MAX_NOTED)
        decided.jobs += [] if job is None else [job]
    return decided


async def _requeue(
    services: Services, session: AsyncSession, rows: Sequence[DeadLetter], noted: dict[Source, int]
) -> None:
    """Marks letters and notes their keys; `noted` counts those of each source."""
    await _set_status(services, session, rows, DeadLetterStatus.REQUEUED)
    await dead_letter_queries.read_again(session, rows)
    keys: dict[Source, set[bytes]] = {}
    for row in rows:
        keys.setdefault(Source.of(row), set()).add(row.source_key)
    for source, some in keys.items():
        noted[source] = noted.get(source, 0) + len(some)
        if noted[source] <= MAX_NOTED:
            await dead_letter_queries.note_keys(session, source, some)


async def _start(services: Services, viewer: Viewer, source: Source, *, only_keys: bool) -> Job | None:
    async with services.database.write(viewer.namespace.id) as session:
        if source.sync_config_id is None:
            storage = await storage_queries.lock_storage(session, source.storage_id)
            if storage is None or storage.deleted_at is not None or not storage.synchronizable:
                return None
            return await _enqueue(
                services, session, viewer, source, SYNC_STORAGE, f"sync:storage:{storage.id}", EVERYTHING
            )
        config = await config_transitions.lock(session, source.sync_config_id)
        if config is None or SyncConfigStatus(config.status) not in _STARTS:
            return None
        job = await _enqueue(
            services, session, viewer, source, SYNC_CONFIG, run_unicity(config.id), config.range, only_keys=only_keys
        )
        if config.status in ENDED:
            await config_transitions.move(session, config, ConfigEvent.REOPEN)
        return job


async def _enqueue(
    services: Services,
    session: AsyncSession,
    viewer: Viewer,
    source: Source,
    job_class: str,
    unicity: str,
    keys: KeyRange,
    *,
    only_keys: bool = False,
) -> Job:
    try:
        return await services.jobs.enqueue(
            session,
            namespace_id=viewer.namespace.id,
            job_class=job_class,
            unicity=unicity,
            payload={"fullSync": False, "dryRun": False, "allowMassMissing": False, "onlyKeys": only_keys},
            created_by=viewer.actor,
            trigger=JobTrigger.RETRY,
            storage_id=source.storage_id,
            project_id=source.project_id,
            sync_config_id=source.sync_config_id,
            key_range=keys,
        )
    except AlreadyRunningError as error:
        return error.job


async def _check_ids(services: Services, viewer: Viewer, chosen: Choice) -> None:
    if chosen.ids is None:
        return
    async with services.database.read(viewer.namespace.id) as session:
        found = await dead_letter_queries.dead_letters_by_id(session, chosen.ids)
    if None in found:
        raise NotFoundError(f"No dead letter has the id at place {found.index(None)}.", path=("ids",))


async def _newest(services: Services, viewer: Viewer) -> int:
    async with services.database.read(viewer.namespace.id) as session:
        return await dead_letter_queries.newest_id(session)


async def _set_status(
    services: Services, session: AsyncSession, rows: Collection[DeadLetter], status: DeadLetterStatus
) -> None:
    changed = await dead_letter_queries.set_status(session, [row.id for row in rows], status)

    async def show() -> None:
        if len(changed) > MAX_SHOWN:
            await services.hub.publish_stale(DEAD_LETTER, changed[0].namespace_id)
        else:
            for row in changed:
                await services.hub.publish(DEAD_LETTER, row)

    if changed and services.hub.heard(DEAD_LETTER):
        after_commit(session, show)
