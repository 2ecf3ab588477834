"""Statements in plain SQL for what runs read and write in bulk: `?` marks, both databases.

Times are microseconds since the epoch; `time_mark` is the mark of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


def is_sqlite(session: AsyncSession) -> bool:
    """Whether the session's database is SQLite; else it is PostgreSQL."""
    return session.get_bind().dialect.name == "sqlite"


def time_mark(session: AsyncSession) -> str:
    """The mark of a microsecond time that is a column's value."""
    return "?" if is_sqlite(session) else "timestamptz 'epoch' + CAST(? AS bigint) * interval '1 microsecond'"


async def fetch(session: AsyncSession, sql: str, values: tuple[Any, ...]) -> list[Any]:
    """The rows of a query."""
    connection = await session.connection()
    result = await connection.exec_driver_sql(_driver_sql(connection, sql), values)
    return list(result.all())


async def execute(session: AsyncSession, sql: str, values: tuple[Any, ...]) -> None:
    """Runs a statement."""
    connection = await session.connection()
    await connection.exec_driver_sql(_driver_sql(connection, sql), values)


async def execute_many(session: AsyncSession, sql: str, values: Sequence[tuple[Any, ...]]) -> None:
    """Runs a statement once for each of `values`; not at all for none."""
    if values:
        connection = await session.connection()
        await connection.exec_driver_sql(_driver_sql(connection, sql), list(values))


async def insert_many(
    session: AsyncSession,
    table: str,
    columns: dict[str, str],
    rows: Sequence[tuple[Any, ...]],
    *,
    conflict: str = "",
) -> None:
    """Inserts rows as one statement. `columns`: name → PostgreSQL type; "time" is a microsecond time, "json" JSON text.

    `conflict`: the ON CONFLICT clause.
    """
    if not rows:
        return
    names = ", ".join(columns)
    connection = await session.connection()
    if connection.dialect.name == "sqlite":
        sql = f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))}) {conflict}"
        await connection.exec_driver_sql(sql, list(rows))
        return
    values = ", ".join(_postgres_value(name, kind) for name, kind in columns.items())
    arrays = ", ".join(f"${number}::{_ARRAYS.get(kind, kind)}[]" for number, kind in enumerate(columns.values(), 1))
    sql = f"INSERT INTO {table} ({names}) SELECT {values} FROM unnest({arrays}) AS given ({names}) {conflict}"
    await connection.exec_driver_sql(sql, tuple(map(list, zip(*rows, strict=True))))


_ARRAYS = {"time": "bigint", "json": "text"}


def _postgres_value(name: str, kind: str) -> str:
    if kind == "time":
        return f"timestamptz 'epoch' + given.{name} * interval '1 microsecond'"
    return f"given.{name}::jsonb" if kind == "json" else f"given.{name}"


def _driver_sql(connection: AsyncConnection, sql: str) -> str:
    """`?` marks as the driver numbers them."""
    if connection.dialect.name == "sqlite":
        return sql
    first, *rest = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
