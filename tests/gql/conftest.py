"""The sample schema behind a running server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gql.node_clients import install
from tests.gql.sample import PROBES, Probe, Served, served
from tests.gql.tenants import Tenant, Tenants, tenants_of
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="package")
async def sample(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One server for all tests that do not change its settings."""
    async with served(tmp_path_factory.mktemp("sample")) as running:
        yield running


@pytest.fixture
def probe() -> Probe:
    """What the resolvers report in this test."""
    PROBES.append(Probe())
    return PROBES[-1]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder for a server of the test's own."""
    return tmp_path


@pytest.fixture(scope="session")
def node() -> None:
    """The npm clients, installed."""
    install()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
async def tenants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenants]:
    """A running gateway, once on each database, that gives tests tenants of their own."""
    root = tmp_path_factory.mktemp("tenants")
    if request.param == "sqlite":
        async with tenants_of(root) as running:
            yield running
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = await server.create_database()
    async with tenants_of(root, database_url=url) as running:
        yield running
    await server.drop_database(url)


@pytest.fixture
async def tenant(tenants: Tenants) -> Tenant:
    """A tenant of this test alone."""
    return await tenants.new()


@pytest.fixture
async def other_tenant(tenants: Tenants) -> Tenant:
    """Another tenant of the same gateway."""
    return await tenants.new()
