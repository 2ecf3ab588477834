from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.content.files import Files, catalogued, gateway_over
from tests.support.gateway import RunningGateway


@pytest.fixture(scope="session")
def content_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the shared gateway's LOCAL storages may read."""
    return tmp_path_factory.mktemp("content")


@pytest.fixture(scope="session")
async def content_gateway(content_root: Path) -> AsyncIterator[RunningGateway]:
    """One gateway for all tests of content."""
    async with gateway_over(content_root) as gateway:
        yield gateway


@pytest.fixture
async def files(content_gateway: RunningGateway, content_root: Path) -> Files:
    """A folder of files in the catalogue, of this test alone."""
    return await catalogued(content_gateway, content_root)
