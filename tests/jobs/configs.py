"""Sync configurations for the tests of jobs, and what they show."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from models import config_transitions
from models.database import ALL, Database
from models.jobs import Job
from models.ranges import KeyRange
from models.sync_configs import SyncConfig, SyncConfigStatus, SyncMode
from sluicegate.core.clock import now
from tests.support.jobs import Tenant


async def add_config(database: Database, tenant: Tenant, prefix: bytes = b"", **columns: Any) -> SyncConfig:
    """A new configuration, due at once unless told otherwise."""
    made: dict[str, Any] = {"mode": SyncMode.CONTINUOUS, "status": SyncConfigStatus.PENDING, **columns}
    config = SyncConfig(
        namespace_id=tenant.namespace_id, project_id=tenant.project_id, storage_id=tenant.storage_id,
        source_path=prefix.decode(), range_low=prefix, range_high=KeyRange.of_prefix(prefix).high, **made,
    )  # fmt: skip
    if "next_sync_at" not in columns and config.status == SyncConfigStatus.PENDING:
        config_transitions.start(config, now())
    async with database.write(ALL) as session:
        session.add(config)
    return config


async def read_config(database: Database, config: SyncConfig) -> SyncConfig:
    async with database.read(ALL) as session:
        return await session.get_one(SyncConfig, config.id)


async def runs_of(database: Database, config: SyncConfig) -> list[Job]:
    """The configuration's jobs, oldest first."""
    async with database.read(ALL) as session:
        query = select(Job).where(Job.sync_config_id == config.id).order_by(Job.id)
        return list(await session.scalars(query))


async def set_config(database: Database, config: SyncConfig, **columns: Any) -> None:
    """Sets columns past all rules: a state that would take long to get to."""
    async with database.write(ALL) as session:
        row = await session.get_one(SyncConfig, config.id)
        for name, value in columns.items():
            setattr(row, name, value)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")
