"""Each migration leaves an older version running: it only adds what that version need not know of (expand, contract).

What takes something away comes in a later release than the code that did without it, and is listed in CONTRACTS.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from models import migrate
from models.database import Database

UNRELEASED = "0002"
"""Up to here no version ran that could be upgraded."""
CONTRACTS: dict[str, str] = {}
"""Revision → the release from which on the code has done without what it takes away, a release before its own."""


class Table(NamedTuple):
    """What an older version's statements meet."""

    columns: dict[str, dict[str, Any]]
    keys: set[tuple[str, ...]]
    foreign: set[tuple[str, ...]]
    checks: set[str]

    def knows(self, rule: tuple[str, ...]) -> bool:
        """Whether a rule over these columns is about rows that the version writes."""
        return not set(rule).isdisjoint(self.columns)


def breaks(old: dict[str, Table], new: dict[str, Table]) -> Iterator[str]:
    """What of `new` statements that were written for `old` would fail on."""
    for name, before in old.items():
        if name not in new:
            yield f"{name} is gone"
            continue
        after = new[name]
        for column, was in before.columns.items():
            yield from (f"{name}.{column} {what}" for what in _column(was, after.columns.get(column)))
        for column, added in after.columns.items():
            if column not in before.columns and not added["nullable"] and added["default"] is None:
                yield f"{name}.{column} must be given"
        rules = {rule for rule in (after.keys | after.foreign) - before.keys - before.foreign if before.knows(rule)}
        yield from (f"{name} has a new rule: {rule}" for rule in (*rules, *(after.checks - before.checks)))


def _column(was: dict[str, Any], becomes: dict[str, Any] | None) -> Iterator[str]:
    if becomes is None:
        yield "is gone"
    elif str(becomes["type"]) != str(was["type"]):
        yield f"was {was['type']} and is {becomes['type']}"
    elif was["nullable"] and not becomes["nullable"]:
        yield "takes no NULL any more"
    elif was["default"] is not None and becomes["default"] is None and not becomes["nullable"]:
        yield "has no default any more"


def read(connection: sa.Connection) -> dict[str, Table]:
    """The tables as the database tells of them."""
    inspector = sa.inspect(connection)
    return {
        name: Table(
            {column["name"]: dict(column) for column in inspector.get_columns(name)},
            {tuple(sorted(unique["column_names"])) for unique in inspector.get_unique_constraints(name)}
            | {
                tuple(sorted(str(column) for column in index["column_names"]))
                for index in inspector.get_indexes(name)
                if index["unique"]
            },
            {tuple(sorted(key["constrained_columns"])) for key in inspector.get_foreign_keys(name)},
            {str(check["sqltext"]) for check in inspector.get_check_constraints(name)},
        )
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def test_what_a_migration_changes_breaks_no_older_version(database: Database) -> None:
    await migrate.upgrade(database)
    scripts = ScriptDirectory(str(migrate.SCRIPTS))
    for script in scripts.walk_revisions():
        if script.revision == UNRELEASED:
            break
        async with database.reader.connect() as connection:
            new = await connection.run_sync(read)
        assert isinstance(script.down_revision, str)
        await migrate.downgrade(database, script.down_revision)
        async with database.reader.connect() as connection:
            old = await connection.run_sync(read)
        if script.revision not in CONTRACTS:
            assert list(breaks(old, new)) == [], script.revision
    else:
        pytest.fail(f"There is no revision {UNRELEASED}.")


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (["ALTER TABLE t ADD COLUMN b TEXT", "CREATE TABLE u (a INTEGER NOT NULL)", "CREATE INDEX i ON t (a)"], []),
        (["ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 7"], []),
        (["ALTER TABLE t RENAME COLUMN a TO b"], ["t.a is gone"]),
        (["DROP TABLE t"], ["t is gone"]),
        (["CREATE UNIQUE INDEX i ON t (a)"], ["t has a new rule: ('a',)"]),
        (["DROP TABLE t", "CREATE TABLE t (a TEXT)"], ["t.a was INTEGER and is TEXT"]),
        (["DROP TABLE t", "CREATE TABLE t (a INTEGER NOT NULL)"], ["t.a takes no NULL any more"]),
        (["DROP TABLE t", "CREATE TABLE t (a INTEGER, b TEXT NOT NULL)"], ["t.b must be given"]),
        (["DROP TABLE t", "CREATE TABLE t (a INTEGER, CHECK (a > 1))"], ["t has a new rule: a > 1"]),
        (["CREATE TABLE u (a INTEGER PRIMARY KEY)", "DROP TABLE t", "CREATE TABLE t (a INTEGER REFERENCES u (a))"],
         ["t has a new rule: ('a',)"]),
    ],
)  # fmt: skip
def test_the_check_sees(statements: list[str], told: list[str]) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER)")
        old = read(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)
        assert list(breaks(old, read(connection))) == told
    engine.dispose()
