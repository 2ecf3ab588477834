"""The schema's revisions, applied from code: an upgrade is one transaction, and one process upgrades at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.database import Database
from sluicegate.core.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x51_01_CE_6A_7E  # any number that no other program uses on the same PostgreSQL server


class SchemaState(NamedTuple):
    """`current`: the database's revision, None before the first. `head`: the newest that this version knows."""

    current: str | None
    head: str

    @property
    def up_to_date(self) -> bool:
        """Whether nothing has to be applied."""
        return self.current == self.head


async def state(database: Database) -> SchemaState:
    """What revision the database is at. Raises ConfigurationError for one that this version does not know."""
    async with database.writer.connect() as connection:
        return await connection.run_sync(_state)


async def require(database: Database) -> None:
    """Raises ConfigurationError when the schema is not this version's; changes nothing."""
    if not (await state(database)).up_to_date:
        raise ConfigurationError("The database's schema is not this version's.", hint="Run: sluicegate migrate")


async def upgrade(database: Database) -> SchemaState:
    """Brings the schema to this version's and returns the state before. A second process waits, then finds it done.

    Raises ConfigurationError when the database was written by a newer version.
    """
    return await _migrate(database, "head")


async def downgrade(database: Database, revision: str = "base") -> SchemaState:
    """Takes the schema back to `revision`, with what was in the tables that go. Returns the state before."""
    return await _migrate(database, revision)


async def _migrate(database: Database, target: str) -> SchemaState:
    async with database.writer.connect() as connection:
        if database.is_sqlite:
            await _set_foreign_keys(connection, on=False)
        try:
            async with connection.begin():
                return await connection.run_sync(_run, target)
        finally:
            if database.is_sqlite:
                await _set_foreign_keys(connection, on=True)


def _run(connection: Connection, target: str) -> SchemaState:
    from alembic import command

    # On SQLite the transaction itself is the lock: it has begun IMMEDIATE.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    before = _state(connection)
    if target == "head" and before.up_to_date:
        return before
    config = _config()
    config.attributes["connection"] = connection
    if target == "head":
        command.upgrade(config, target)
    else:
        command.downgrade(config, target)
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise RuntimeError("The migration left rows that refer to rows which are gone; nothing was changed.")
    return before


def _state(connection: Connection) -> SchemaState:
    from alembic.runtime.migration import MigrationContext

    current = MigrationContext.configure(connection).get_current_revision()
    scripts = _scripts(_config())
    head = scripts.get_current_head()
    assert head is not None
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise ConfigurationError(
            f"The database is at schema revision {current!r}; this version of Sluicegate knows none beyond {head!r}.",
            hint="A newer version wrote it. Run that one or a later one, or restore a backup from before its upgrade.",
        )
    return SchemaState(current, head)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts(config: Config) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config)


async def _set_foreign_keys(connection: AsyncConnection, *, on: bool) -> None:
    """On SQLite a table is altered by replacing it, and dropping the old one would delete what refers to it."""
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert driver is not None
    await driver.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
