"""A session of one namespace sees and touches no other, whatever is asked of it."""

import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Table, delete, exists, func, select, text, union_all, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from models import migrate
from models.access import Namespace
from models.database import ALL, Database
from models.projects import Project
from tests.support.postgres import PostgresServer

MINE, THEIRS = "mine", "theirs"
OTHER = aliased(Project)
TABLE: Any = Project.__table__


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await migrate.upgrade(database)
    async with database.write(ALL) as session:
        spaces = [Namespace(name=name) for name in (MINE, THEIRS)]
        session.add_all(spaces)
        await session.flush()
        session.add_all([Project(namespace_id=space.id, name=space.name) for space in spaces])
    yield database
    await database.close()


async def number_of(database: Database, name: str) -> int:
    async with database.read(ALL) as session:
        return await session.scalar(select(Namespace.id).where(Namespace.name == name)) or 0


READS: dict[str, Any] = {
    "columns": select(Project.name),
    "an alias": select(OTHER.name),
    "a subquery": select(select(Project.name).subquery()),
    "a common table expression": select(select(Project.name).cte()),
    "a union": union_all(select(Project.name), select(OTHER.name)),
    "a count": select(func.count()).select_from(Project),
    "exists": select(Namespace.name).where(exists().where(Project.name == THEIRS)),
    "a join": select(Project.name).join(Namespace, Namespace.id == Project.namespace_id),
    "an outer join": select(Project.name).select_from(Namespace).outerjoin(Project),
    "a value in a column": select(select(func.max(Project.name)).scalar_subquery()),
}
SEEN: dict[str, set[Any]] = {"a count": {1}, "exists": set(), "an outer join": {MINE, None}}


@pytest.mark.parametrize("shape", READS)
async def test_every_shape_of_a_query_is_scoped(database: Database, shape: str) -> None:
    async with database.read(await number_of(database, MINE)) as session:
        assert set(await session.scalars(READS[shape])) == SEEN.get(shape, {MINE})


async def test_rows_of_others_are_not_found_changed_or_deleted(database: Database) -> None:
    async with database.read(ALL) as session:
        theirs = await session.scalar(select(Project.id).where(Project.name == THEIRS))
    async with database.write(await number_of(database, MINE)) as session:
        assert await session.get(Project, theirs) is None
        await session.execute(update(Project).values(description="mine"))
        await session.execute(delete(Project).where(Project.id == theirs))
    async with database.read(ALL) as session:
        found = await session.execute(select(Project.name, Project.description).order_by(Project.name))
        assert [tuple(row) for row in found] == [(MINE, "mine"), (THEIRS, "")]


@pytest.mark.parametrize(
    "statement",
    [select(TABLE.c.name), update(TABLE).values(description="x"), text("SELECT name FROM project")],
    ids=["table", "update", "text"],
)
async def test_a_statement_that_cannot_be_scoped_is_refused(database: Database, statement: Any) -> None:
    assert isinstance(TABLE, Table)
    with pytest.raises(PermissionError):
        async with database.write(await number_of(database, MINE)) as session:
            await session.execute(statement)


async def test_errors_of_the_driver_show_no_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.write(ALL) as session:
            await session.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "a tenant's data"})
    assert "a tenant's data" not in str(caught.value)


async def test_errors_of_postgresql_show_no_values_in_their_tracebacks(postgres: PostgresServer) -> None:
    value = "a tenant's data"
    url = await postgres.create_database()
    database = Database(url)
    await migrate.upgrade(database)
    for statement in (
        "SELECT CAST(:value AS bigint) + 1",
        "SELECT CAST(CAST(:value AS text) AS bigint)",
        "SELECT CAST(CAST(:value AS text) AS timestamptz)",
        "SELECT CAST(CAST(:value AS text) AS jsonb)",
        "SELECT CAST(CAST(:value AS text) || repeat('9', 40) AS numeric(4))",
        "INSERT INTO namespace (name, created_at) VALUES (:value, now()), (:value, now())",
        "INSERT INTO namespace (name, created_at) VALUES (:value, NULL)",
    ):
        with pytest.raises(DBAPIError) as caught:
            async with database.write(ALL) as session:
                await session.execute(text(statement), {"value": value})
        shown = "".join(traceback.format_exception(caught.value))
        assert value not in shown
        assert "asyncpg" in shown
    await database.close()
    await postgres.drop_database(url)
