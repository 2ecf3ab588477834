"""Servers that tests ask for by name. Each is started when the first test needs it, once for a test process."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# A busy machine is slow, not wrong: no test asserts a time. Examples that failed are printed to be pasted back.
hypothesis.settings.register_profile("sluicegate", deadline=None, print_blob=True)
hypothesis.settings.load_profile("sluicegate")

if TYPE_CHECKING:
    # Imported by the fixtures when they run: a test run that needs no server does not pay for loading its library.
    from tests.support.moto_server import MotoServer
    from tests.support.postgres import PostgresServer
    from tests.support.seaweed import SeaweedServer
    from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def postgres() -> "Iterator[PostgresServer]":
    """A real PostgreSQL. A test that kills the server starts one of its own instead (`tests.support.postgres`)."""
    from tests.support.postgres import PostgresServer

    with PostgresServer() as server:
        yield server


@pytest.fixture
async def postgres_url(postgres: "PostgresServer") -> AsyncIterator[str]:
    """The address of an empty PostgreSQL database of this test alone."""
    url = await postgres.create_database()
    yield url
    await postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of an empty database of this test alone: the test runs once on each of the two kinds."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'sluicegate.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.fixture(scope="session")
def moto() -> "Iterator[MotoServer]":
    """An S3 server in this process, filled by its own methods. Tests make buckets of their own on it."""
    from tests.support.moto_server import MotoServer

    with MotoServer() as server:
        yield server


@pytest.fixture
def bucket(moto: "MotoServer") -> str:
    """The name of an empty bucket on `moto`, of this test alone."""
    return moto.create_bucket()


@pytest.fixture(scope="session")
def seaweed() -> "Iterator[SeaweedServer]":
    """An S3 server that checks signatures and takes every key."""
    from tests.support.seaweed import SeaweedServer

    with SeaweedServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> "Iterator[ValkeyServer]":
    """A real Valkey. A test that stops the server starts one of its own instead (`tests.support.valkey`)."""
    from tests.support.valkey import ValkeyServer

    with ValkeyServer() as server:
        yield server
