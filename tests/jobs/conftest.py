"""A database with all tables, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from models.database import Database
from tests.support.jobs import make_schema


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await make_schema(database)
    yield database
    await database.close()
