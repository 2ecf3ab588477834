from collections.abc import AsyncIterator

import pytest

from tests.support.sync_harness import Harness, harness


@pytest.fixture
async def blobs(database_url: str) -> AsyncIterator[Harness]:
    """A storage whose files are objects."""
    async with harness(database_url) as ready:
        yield ready


@pytest.fixture
async def reads(database_url: str) -> AsyncIterator[Harness]:
    """A storage whose files are read."""
    async with harness(database_url, use_blob_urls=False) as ready:
        yield ready
