"""The migrations make exactly what the models say, on both databases."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from models import migrate
from models.base import Base
from models.database import ALL, Database
from models.tickets import PREFIX
from sluicegate.core.errors import ConfigurationError

# Everything that makes a column, a constraint or an index what it is, as PostgreSQL itself prints it.
POSTGRES_SCHEMA = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(co.collname, '') ||
       CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '')
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
  LEFT JOIN pg_collation co ON co.oid = a.attcollation
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
"""
SQLITE_SCHEMA = "SELECT tbl_name, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def read_schema(database: Database) -> set[tuple[str, str, str]]:
    async with database.writer.connect() as connection:
        rows = await connection.execute(text(SQLITE_SCHEMA if database.is_sqlite else POSTGRES_SCHEMA))
        # The order of a table's columns and constraints is no difference: SQLite keeps the statement as it was written.
        return {
            (table, name, "; ".join(sorted(line.strip(" \t,") for line in _as_written(table, str(sql)).splitlines())))
            for table, name, sql in rows
            if table != "alembic_version" and not table.startswith(PREFIX)
        }


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue's tables are the task engine's: `tests/jobs/test_postgres.py` holds them beside what that wants."""
    return kind != "table" or not (name or "").startswith(PREFIX)


def _as_written(table: str, sql: str) -> str:
    """SQLite quotes the name of a table that was copied to alter it, and adds a column to the end of the last line."""
    if not sql.startswith("CREATE TABLE"):
        return sql
    return re.sub(r", (?!\n)(?![^(\n]*\))", ",\n", sql.replace(f'CREATE TABLE "{table}"', f"CREATE TABLE {table}"))


async def test_alembic_finds_no_difference(database: Database) -> None:
    await migrate.upgrade(database)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"include_name": _ours})
        return compare_metadata(context, Base.metadata)

    async with database.writer.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_schema_is_the_models_to_the_letter(database: Database) -> None:
    """Stricter than alembic's comparison, which overlooks collations, partial indexes, defaults and AUTOINCREMENT."""
    await migrate.upgrade(database)
    migrated = await read_schema(database)
    await migrate.downgrade(database)
    assert await read_schema(database) == set()
    if not database.is_sqlite:
        async with database.writer.connect() as connection:
            left = await connection.scalars(text(f"SELECT relname FROM pg_class WHERE relname LIKE '{PREFIX}%'"))
            assert left.all() == []
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    assert migrated == await read_schema(database)


async def test_upgrade_tells_where_it_came_from_and_is_done_once(database: Database) -> None:
    first = await migrate.upgrade(database)
    assert first.current is None
    assert not first.up_to_date
    assert (await migrate.upgrade(database)).up_to_date
    assert (await migrate.state(database)).up_to_date


async def test_two_processes_at_once_migrate_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    try:
        before = await asyncio.gather(*(migrate.upgrade(database) for database in databases))
    finally:
        await asyncio.gather(*(database.close() for database in databases))
    assert sorted(state.up_to_date for state in before) == [False, True, True, True]


async def test_a_new_database_that_another_process_is_writing_is_waited_for(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.2, other.execute, "COMMIT")
    assert (await migrate.upgrade(database)).current is None
    other.close()
    await database.close()


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    await migrate.upgrade(database)
    async with database.write(ALL) as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (migrate.upgrade, migrate.state):
        with pytest.raises(ConfigurationError, match="'9999'") as caught:
            await attempt(database)
        assert caught.value.hint
        assert "newer version" in caught.value.hint


async def test_foreign_keys_are_checked_again_after_a_migration(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    await migrate.upgrade(database)
    async with database.writer.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1
    await database.close()
