"""Which status a sync configuration may go to, and the one function that takes it there.

The table is the whole truth (docs/jobs.md draws it): an event that it does not list for a status is illegal. Where it
names several targets, the configuration decides: what its mode is, whether a run is under way, how the last one ended.
What a run does is legal in every status: a run never fails because of its configuration's state.

Locks are taken in this order: storage, configuration, job. Whoever needs several follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models.batch_records import end_held
from models.changes import changes
from models.config_slots import RESCHEDULES, first_slot, slot_after_edit
from models.jobs import FINISHED, Job, JobStatus
from models.sync_configs import MAX_FAILURES, RUNNABLE, SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.clock import now, to_micros
from sluicegate.core.errors import ConflictError, NotFoundError

S = SyncConfigStatus
ENDED = frozenset({S.COMPLETED, S.COMPLETED_WITH_ERRORS, S.FAILED, S.CANCELED})
"""How a ONE_TIME configuration ends. REOPEN leads out of these."""


class ConfigEvent(StrEnum):
    """What can happen to a configuration."""

    ACTIVATE = "ACTIVATE"
    PAUSE = "PAUSE"
    RESUME = "RESUME"
    ARCHIVE = "ARCHIVE"
    REOPEN = "REOPEN"
    RUN_STARTED = "RUN_STARTED"
    RUN_ENDED_WELL = "RUN_ENDED_WELL"
    RUN_ENDED_WITH_ERRORS = "RUN_ENDED_WITH_ERRORS"
    RUN_FAILED = "RUN_FAILED"
    RUN_CANCELED = "RUN_CANCELED"


E = ConfigEvent
_RESUMED = (S.PENDING, S.ACTIVE, S.IN_PROGRESS, S.COMPLETED, S.COMPLETED_WITH_ERRORS, S.FAILED, S.CANCELED)


def _ended(*targets: SyncConfigStatus, waiting: bool = False) -> dict[SyncConfigStatus, tuple[SyncConfigStatus, ...]]:
    """The end of a run. It wakes nobody: a DRAFT stays one, as does what is PAUSED, SUSPENDED or ARCHIVED."""
    still = {status: (status,) for status in (S.DRAFT, S.PAUSED, S.SUSPENDED, S.ARCHIVED)}
    moved = dict.fromkeys((S.PENDING, S.ACTIVE, S.IN_PROGRESS, *sorted(ENDED)), targets)
    if waiting:
        moved[S.PENDING] = (S.PENDING, *targets)
    return {**moved, **still}


TRANSITIONS: Mapping[ConfigEvent, Mapping[SyncConfigStatus, tuple[SyncConfigStatus, ...]]] = MappingProxyType(
    {
        # A person's. Asking for what is so already changes nothing.
        E.ACTIVATE: {
            S.DRAFT: (S.PENDING, S.ACTIVE, S.IN_PROGRESS), S.SUSPENDED: _RESUMED,
            S.PENDING: (S.PENDING,), S.ACTIVE: (S.ACTIVE,), S.IN_PROGRESS: (S.IN_PROGRESS,),
        },
        E.PAUSE: {S.PENDING: (S.PAUSED,), S.ACTIVE: (S.PAUSED,), S.IN_PROGRESS: (S.PAUSED,), S.PAUSED: (S.PAUSED,)},
        E.RESUME: {S.PAUSED: _RESUMED, S.SUSPENDED: _RESUMED},
        E.ARCHIVE: dict.fromkeys(S, (S.ARCHIVED,)),
        E.REOPEN: dict.fromkeys(sorted(ENDED), (S.PENDING, S.ACTIVE, S.IN_PROGRESS)),
        # A run's, one that writes.
        E.RUN_STARTED: _ended(S.IN_PROGRESS),
        E.RUN_ENDED_WELL: _ended(S.ACTIVE, S.COMPLETED),
        E.RUN_ENDED_WITH_ERRORS: _ended(S.ACTIVE, S.COMPLETED_WITH_ERRORS),
        E.RUN_FAILED: _ended(S.ACTIVE, S.SUSPENDED, S.FAILED),
        E.RUN_CANCELED: _ended(S.ACTIVE, S.CANCELED, waiting=True),
    }
)  # fmt: skip

_HINTS: Mapping[ConfigEvent, str] = {
    E.ACTIVATE: "Resume a paused configuration; trigger one that has ended; an archived one stays archived.",
    E.PAUSE: "Only a configuration that is active can be paused.",
    E.RESUME: "Only a paused or suspended configuration can be resumed.",
    E.REOPEN: "Only a configuration that has ended can be opened again.",
}
_NOUNS: Mapping[ConfigEvent, str] = {
    E.ACTIVATE: "activated", E.PAUSE: "paused", E.RESUME: "resumed", E.REOPEN: "opened again",
}  # fmt: skip
_ENDS: Mapping[ConfigEvent, SyncConfigStatus] = {
    E.RUN_ENDED_WELL: S.COMPLETED, E.RUN_ENDED_WITH_ERRORS: S.COMPLETED_WITH_ERRORS, E.RUN_FAILED: S.FAILED,
    E.RUN_CANCELED: S.CANCELED,
}  # fmt: skip
_ASKED_TO_RUN = frozenset({E.ACTIVATE, E.RESUME, E.REOPEN})


async def apply(
    session: AsyncSession, config_id: int, event: ConfigEvent, *, at: datetime | None = None, **columns: Any
) -> SyncConfig:
    """Takes a configuration where `event` leads and sets `columns`. Nothing else writes `status` or `next_sync_at`.

    Raises NotFoundError, and ConflictError for a transition that the table does not have. The row is in
    `changes(session)`. Its jobs are the caller's to pause, resume or cancel.
    """
    config = await lock(session, config_id)
    if config is None:
        raise NotFoundError("No such sync configuration.", path=("id",))
    return await move(session, config, event, at=at, **columns)


async def move(
    session: AsyncSession, config: SyncConfig, event: ConfigEvent, *, at: datetime | None = None, **columns: Any
) -> SyncConfig:
    """`apply` to a row that the transaction has locked."""
    source = SyncConfigStatus(config.status)
    allowed = TRANSITIONS[event].get(source)
    if allowed is None:
        verb = _NOUNS.get(event, f"taken through {event}")
        raise ConflictError(f"The sync configuration is {source} and can't be {verb}.", hint=_HINTS.get(event))
    moment = at or now()
    for name, value in columns.items():
        setattr(config, name, value)
    target = allowed[0] if len(allowed) == 1 else await _choose(session, config, event)
    assert target in allowed, (event, source, target)
    if (event, source) == (E.PAUSE, S.PAUSED) or (event is E.ACTIVATE and source in RUNNABLE):
        return config
    _arrive(config, event, target, moment)
    if event is E.ARCHIVE:
        await end_held(session, config.id, now=to_micros(moment))
    return await touch(session, config, moment)


async def edit(session: AsyncSession, config_id: int, *, at: datetime | None = None, **columns: Any) -> SyncConfig:
    """Sets columns of a configuration other than its state; a changed schedule takes effect at once.

    One that has ended stays so: `REOPEN` makes it run again. Raises NotFoundError.
    """
    config = await lock(session, config_id)
    if config is None:
        raise NotFoundError("No such sync configuration.", path=("id",))
    moment = at or now()
    changed = {name for name, value in columns.items() if getattr(config, name) != value}
    for name, value in columns.items():
        setattr(config, name, value)
    if changed & RESCHEDULES and config.status in RUNNABLE:
        config.next_sync_at = slot_after_edit(config, moment)
    return await touch(session, config, moment)


async def lock(session: AsyncSession, config_id: int) -> SyncConfig | None:
    """The row, for changing it; None where there is none."""
    config = await session.scalar(
        select(SyncConfig)
        .where(SyncConfig.id == config_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    # A session forgets rows that nobody holds: those who follow in the transaction need not read it again.
    session.info.setdefault("locked_configs", {})[config_id] = config
    return config


async def touch(session: AsyncSession, config: SyncConfig, at: datetime) -> SyncConfig:
    """Counts a change of a row that the transaction has locked, for those who watch it."""
    config.updated_at = at
    config.row_rev += 1
    changes(session)["syncConfig", config.id] = config
    await session.flush()
    return config


def start(config: SyncConfig, at: datetime) -> None:
    """The state of a new row, not in the database yet: a DRAFT stays one, any other is PENDING and due at once."""
    if config.status != S.DRAFT:
        config.status, config.next_sync_at = S.PENDING, at


async def _choose(session: AsyncSession, config: SyncConfig, event: ConfigEvent) -> SyncConfigStatus:
    if event in _ASKED_TO_RUN:
        return await _awake(session, config, anew=event is E.REOPEN or config.status == S.DRAFT)
    if config.mode == SyncMode.ONE_TIME:
        return _ENDS[event]
    if event is E.RUN_FAILED and config.consecutive_failures >= MAX_FAILURES:
        return S.SUSPENDED
    # A run that was canceled before it began: the first one is still to come.
    waits = event is E.RUN_CANCELED and config.status == S.PENDING
    return S.PENDING if waits else S.ACTIVE


async def _awake(session: AsyncSession, config: SyncConfig, *, anew: bool) -> SyncConfigStatus:
    """What a configuration is once nothing holds it back."""
    current = await session.get(Job, config.current_job_id) if config.current_job_id is not None else None
    if current is not None and current.started_at is not None:
        return S.IN_PROGRESS
    if config.run_number == 0 or (anew and config.mode == SyncMode.ONE_TIME):
        return S.PENDING
    last = await session.get(Job, config.last_job_id) if config.last_job_id is not None else None
    if config.mode == SyncMode.ONE_TIME and current is None and last is not None and last.status in FINISHED:
        return SyncConfigStatus(JobStatus(last.status))
    return S.ACTIVE


def _arrive(config: SyncConfig, event: ConfigEvent, target: SyncConfigStatus, moment: datetime) -> None:
    """What arriving at a status does to the other columns."""
    config.status = target
    if event is E.PAUSE:
        config.paused_at = moment
    elif event in _ASKED_TO_RUN:
        config.pause_reason = config.paused_at = config.paused_by = None
        config.consecutive_failures = 0
        config.listed_at = None  # what its storage told of meanwhile was not noted
    if target not in RUNNABLE:
        config.next_sync_at = None
    elif config.mode == SyncMode.ONE_TIME:
        begun = config.current_job_id is not None or target == S.IN_PROGRESS
        config.next_sync_at = None if begun else config.next_sync_at or moment
    elif config.next_sync_at is None or event in _ASKED_TO_RUN:
        config.next_sync_at = first_slot(config, moment)
