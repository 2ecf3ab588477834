"""Numbers for operators: what the metrics and the readiness probe ask of the database."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from models.database import Database
from models.jobs import UNFINISHED, Job


class PoolState(NamedTuple):
    """Connections of one pool."""

    name: str
    size: int
    used: int


async def ping(session: AsyncSession) -> None:
    """Asks the database for nothing; raises what the driver raises when it does not answer."""
    await session.execute(text("SELECT 1"))


async def unfinished_jobs(session: AsyncSession) -> dict[tuple[str, str], int]:
    """How many unfinished jobs there are of each (job class, status). Reads the partial index of these alone."""
    query = (
        select(Job.job_class, Job.status, func.count())
        .where(Job.status.in_(sorted(UNFINISHED)))
        .group_by(Job.job_class, Job.status)
    )
    return {(job_class, status): number for job_class, status, number in await session.execute(query)}


def pools(database: Database) -> list[PoolState]:
    """The connection pools of a database: SQLite's reader and writer, PostgreSQL's only one."""
    engines = {"write": database.writer} if database.is_sqlite else {"all": database.writer}
    if database.is_sqlite:
        engines["read"] = database.reader
    states: list[PoolState] = []
    for name, engine in engines.items():
        pool = engine.sync_engine.pool
        assert isinstance(pool, QueuePool)
        states.append(PoolState(name, pool.size(), pool.checkedout()))
    return states
