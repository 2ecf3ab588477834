"""Which finished jobs are deleted, a bounded piece at a time: those past their time, and those that are too many."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models.jobs import FINISHED, Job
from models.outcomes import Outcome
from models.storages import Storage
from models.sync_configs import SyncConfig

KEPT_RUNS = 1_000
"""So many jobs of a configuration are kept, the newest ones: one that polls each 30 seconds has 86,400 in 30 days."""
OUTCOMES = 5_000
"""How many outcomes one transaction deletes."""
_CONFIGS = 100

Which = ColumnElement[bool]
"""A condition on jobs."""


class Surplus(NamedTuple):
    """The finished jobs of the configuration up to this one are more than are kept."""

    sync_config_id: int
    upto: int


def past(before: datetime) -> Which:
    """The jobs that ended before then."""
    return Job.finished_at < before


def beyond(surplus: Surplus) -> Which:
    """The jobs that are too many."""
    return and_(Job.sync_config_id == surplus.sync_config_id, Job.id <= surplus.upto)


async def find_surplus(session: AsyncSession, *, after: int) -> tuple[list[Surplus], int | None]:
    """What there is too much of, of the next 100 configurations above the id `after`. (found, the last id looked at).

    Costs KEPT_RUNS steps in an index for each configuration, however many jobs there are; None: there are no more.
    """
    bound = (
        select(Job.id)
        .where(Job.sync_config_id == SyncConfig.id)
        .order_by(Job.id.desc())
        .offset(KEPT_RUNS)
        .limit(1)
        .correlate(SyncConfig)
        .scalar_subquery()
    )
    query = select(SyncConfig.id, bound).where(SyncConfig.id > after).order_by(SyncConfig.id).limit(_CONFIGS)
    rows: list[tuple[int, Any]] = [(row[0], row[1]) for row in await session.execute(query)]
    found = [Surplus(config_id, upto) for config_id, upto in rows if upto is not None]
    return found, rows[-1][0] if rows else None


async def delete_jobs(session: AsyncSession, which: Which, *, limit: int) -> int:
    """Deletes up to `limit` finished jobs of these, but never the last sync of a storage or configuration.

    Returns how many. Checkpoints and what else hangs on a job go with it; of their outcomes, which may be millions,
    `delete_outcomes` rids them before.
    """
    ids = (await session.scalars(_finished(which, limit))).all()
    if ids:
        await session.execute(delete(Job).where(Job.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids)


async def delete_outcomes(session: AsyncSession, which: Which, *, limit: int) -> bool:
    """Deletes up to OUTCOMES of the jobs that `delete_jobs` would delete. Whether there may be more."""
    some = select(Outcome.id).where(Outcome.job_id.in_((await session.scalars(_finished(which, limit))).all()))
    ids = (await session.scalars(some.limit(OUTCOMES))).all()
    if ids:
        await session.execute(delete(Outcome).where(Outcome.id.in_(ids)).execution_options(synchronize_session=False))
    return len(ids) == OUTCOMES


def _finished(which: Which, limit: int) -> Select[int]:
    # By the job's own columns: no other configuration's or storage's run can be theirs.
    shown = select(Storage.id).where(Storage.id == Job.storage_id, Storage.last_sync_job_id == Job.id).correlate(Job)
    last = select(SyncConfig.id).where(SyncConfig.id == Job.sync_config_id, SyncConfig.last_job_id == Job.id)
    return (
        select(Job.id)
        .where(Job.status.in_(FINISHED), which, ~shown.exists(), ~last.correlate(Job).exists())
        .order_by(Job.id)
        .limit(limit)
    )
