"""The tickets of the task engine on PostgreSQL: what the engine's own library does not do with them.

The tables are PgQueuer's, under our prefix; a revision of our migrations makes them. SQLite has none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from models.database import NAMES_NAMESPACE, Database

PREFIX = "sluicegate_"
"""Begins the name of each of the queue's tables, of its type, function and channel."""

NAMES: Mapping[str, Any] = {
    "prefix": PREFIX, "db_schema": None, "channel": f"{PREFIX}ch_pgqueuer", "function": f"{PREFIX}fn_pgqueuer_changed",
    "statistics_table": f"{PREFIX}pgqueuer_statistics", "queue_status_type": f"{PREFIX}pgqueuer_status",
    "queue_table": f"{PREFIX}pgqueuer", "queue_table_log": f"{PREFIX}pgqueuer_log",
    "trigger": f"{PREFIX}tg_pgqueuer_changed", "schedules_table": f"{PREFIX}pgqueuer_schedules", "widen_id": True,
}  # fmt: skip
"""PgQueuer's settings, each given: what is not, it takes from the environment, `QUEUE_TABLE` and `CHANNEL` even."""

_OF_SQLALCHEMY = frozenset({"async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func"})
_PRESENT = text(
    f"SELECT dedupe_key FROM {PREFIX}pgqueuer WHERE status IN ('queued', 'picked') AND dedupe_key = ANY(:keys)"
).bindparams(bindparam("keys", type_=ARRAY(Text)))


def connect_arguments(database: Database) -> dict[str, Any]:
    """What the driver connects with, for connections beside the session's pool. Holds the password: never log it."""
    _, arguments = database.writer.dialect.create_connect_args(database.url)
    return {name: value for name, value in arguments.items() if name not in _OF_SQLALCHEMY}


async def execute(session: AsyncSession, statement: str, arguments: Sequence[object]) -> list[dict[str, object]]:
    """Runs a statement of the queue's library, with `$1` for an argument, in the session's transaction."""
    connection = await session.connection()
    result = await connection.exec_driver_sql(statement, tuple(arguments))
    return [dict(row) for row in result.mappings()]


async def present(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Those of the keys that a ticket has which waits or is in some worker's hands."""
    return set(await session.scalars(_PRESENT, {"keys": list(keys)}))


async def notify(session: AsyncSession, channel: str, payload: str) -> None:
    """Tells all who listen on the channel, once the session's transaction is committed."""
    await session.execute(select(func.pg_notify(channel, payload)).execution_options(**{NAMES_NAMESPACE: True}))
